//! Card numbers: how to see one in a free field, so that it is refused and never stored or logged.
//!
//! Both errors count: a number that is missed is kept where none may be, and a telephone number that is taken for one
//! leaves a customer uncharged. `measure` holds how often either happens.

mod groups;
mod issuer;
#[cfg(test)]
mod measure;
mod overlooked;
mod plain;

/// Whether the text contains what looks like a card number: an issuer's prefix, that issuer's length, and a right check
/// digit, in whatever digits and with whatever marks between its groups. What says by itself that it is another number is
/// looked over.
pub fn looks_like_card_number(text: &str) -> bool {
    let meant = || [plain::decoded(text), plain::unescaped(text)];
    contains_card_number(text) || meant().into_iter().flatten().any(|text| contains_card_number(&text))
}

fn contains_card_number(text: &str) -> bool {
    let text = plain::plain(text);
    let looks = |text: &str| groups::runs(text).iter().any(groups::Run::contains_card_number);
    count_digits(&text) >= FEWEST && looks(&text) && looks(&overlooked::without_known(&text))
}

/// Whether a quotation could hold most of a card number, cut off or not.
pub fn could_hold_part(text: &str) -> bool {
    let holds = |text: &str| groups::runs(&plain::plain(text)).iter().any(|run| run.digits() > MOST_TOLD);
    holds(text) || plain::unescaped(text).is_some_and(|text| holds(&text))
}

fn count_digits(plain: &str) -> usize {
    plain.bytes().filter(u8::is_ascii_digit).count()
}

/// A text as it may be told: bounded, and never with what looks like a card number.
pub fn shown(text: String) -> String {
    if looks_like_card_number(&text) {
        "this looks like a card number, which dunlin never takes: send the gateway's token instead".to_owned()
    } else if text.chars().nth(LONGEST).is_some() {
        text.chars().take(LONGEST).chain(['…']).collect()
    } else {
        text
    }
}

/// How much is told, in characters.
const LONGEST: usize = 500;
/// How many digits the shortest card number has.
const FEWEST: usize = 14;
/// How many digits of what was refused may be told.
const MOST_TOLD: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_numbers_of_every_network_are_seen() {
        for number in [
            "4242424242424242",
            "4242 4242 4242 4242",
            "card: 4242-4242-4242-4242, thanks",
            "5555555555554444",
            "2223003122003222",
            "378282246310005",
            "3782 822463 10005",
            "3782-8224-6310-005",
            "6011111111111117",
            "30569309025904",
            "3056 930902 5904",
            "3566002020360505",
            "6200000000000005",
            "4242424242424242 123",
            "4242 4242 4242 4242 12/27",
            "07 4242424242424242",
            "cc4242424242424242",
            "4242424242424242 of 0191f7c2-a3b4-7000-8000-000000000000",
            "DE89 3704 0044 0532 0130 00 4242 4242 4242 4242",
            "+49 151 23456789, 4242 4242 4242 4242",
            "4242 0042 4242 4267",
            "https://shop.example/?card=4242%204242%2D4242%204242",
        ] {
            assert!(looks_like_card_number(number), "{number}");
        }
    }

    #[test]
    fn other_long_numbers_are_left_alone() {
        for text in [
            "",
            "order 2024-11-21",
            "4242424242424241",
            "1234567890123456",
            "4242424242426",
            "DE89370400440532013000",
            "pay_0191f7c2a3b44242424242424242a1b2",
            "00000000000000000000000000000000",
            "2026-11-21 20:21:51",
            "f04242424242424242c2d4e6f8a0b2c4",
            "run/0191f7ca-0000-4242-4242-424242424242",
            "0.4242424242424242",
            "4006381333931 100",
            "23.01.2026 - 24.01.2026",
            "06 12 34 56 78, 06 23 45 67 89",
        ] {
            assert!(!looks_like_card_number(text), "{text}");
        }
    }

    #[test]
    fn a_part_of_one_is_seen_whatever_its_digits() {
        assert!(could_hold_part("unknown currency \"4242 4242 4242 4\""));
        assert!(could_hold_part(r#"unknown currency "4242\n4242\u{2009}4242\n4""#));
        assert!(could_hold_part("４２４２,４２４２,４２４"));
        assert!(!could_hold_part("at most 65536 bytes, and 12 more"));
    }
}
