//! Card numbers: how to see one in a free field, so that it is refused and never stored or logged.

/// Whether the text contains what looks like a card number: an issuer's prefix, that issuer's length,
/// and a right check digit (Luhn, ISO/IEC 7812-1). What people write between
/// groups of digits is looked through; hexadecimal identifiers, such as UUIDs, are looked over, as one in some
/// ten thousand of them would match by chance.
pub fn looks_like_card_number(text: &str) -> bool {
    contains_card_number(text) && contains_card_number(&without_identifiers(text))
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

/// The text with each long hexadecimal word left out that has a letter in it.
fn without_identifiers(text: &str) -> String {
    let words =
        text.split_inclusive(|character: char| !character.is_ascii_alphanumeric() && character != '-');
    words.filter(|word| !is_identifier(word)).collect()
}

fn is_identifier(word: &str) -> bool {
    let word = word.trim_end_matches(|character: char| !character.is_ascii_alphanumeric());
    let digits = || word.chars().filter(|character| *character != '-');
    digits().all(|digit| digit.is_ascii_hexdigit())
        && digits().any(|digit| digit.is_ascii_alphabetic())
        && digits().count() >= IDENTIFIER
}

/// The shortest hexadecimal identifier that is looked over.
const IDENTIFIER: usize = 24;

fn contains_card_number(text: &str) -> bool {
    let mut run = Run::default();
    for character in text.chars() {
        match character.to_digit(10).and_then(|digit| u8::try_from(digit).ok()) {
            Some(digit) => run.push(digit),
            None if SEPARATORS.contains(&character) => run.separate(),
            None if run.contains_card_number() => return true,
            None => run = Run::default(),
        }
    }
    run.contains_card_number()
}

/// Groups of digits with nothing but separators between them.
#[derive(Default)]
struct Run {
    digits: Vec<u8>,
    /// Where each group begins.
    groups: Vec<usize>,
    separated: bool,
}

impl Run {
    fn push(&mut self, digit: u8) {
        if self.digits.is_empty() || self.separated {
            self.groups.push(self.digits.len());
        }
        self.separated = false;
        self.digits.push(digit);
    }

    fn separate(&mut self) {
        self.separated = true;
    }

    /// Whole groups only, as a number is often followed by its expiry date. Inside a longer group nothing is
    /// looked for: account and tracking numbers would match by chance.
    fn contains_card_number(&self) -> bool {
        let ends = || self.groups.iter().skip(1).copied().chain([self.digits.len()]);
        self.groups.iter().enumerate().any(|(place, begin)| {
            let lengths = ends().skip(place).map(|end| end - begin);
            lengths
                .skip_while(|length| length < LENGTHS.start())
                .take_while(|length| length <= LENGTHS.end())
                .any(|length| is_card_number(&self.digits[*begin..begin + length]))
        })
    }
}

/// What stands between the groups of a card number.
const SEPARATORS: [char; 7] = [' ', '-', '.', '/', '_', '\t', '\u{a0}'];

/// The lengths of card numbers in use.
const LENGTHS: std::ops::RangeInclusive<usize> = 13..=19;

fn is_card_number(digits: &[u8]) -> bool {
    has_issuer_prefix(digits) && passes_luhn(digits)
}

/// Prefixes and lengths as the networks publish them (Visa, Mastercard, American Express, Discover,
/// Diners Club, JCB, `UnionPay`, Maestro).
fn has_issuer_prefix(digits: &[u8]) -> bool {
    let prefix = |n: usize| digits.iter().take(n).fold(0_u32, |sum, digit| sum * 10 + u32::from(*digit));
    let (two, three, four) = (prefix(2), prefix(3), prefix(4));
    match digits.len() {
        13 => digits.first() == Some(&4),
        14 => (300..=305).contains(&three) || matches!(two, 36 | 38 | 39),
        15 => matches!(two, 34 | 37),
        16 => {
            digits.first() == Some(&4)
                || (51..=55).contains(&two)
                || (2221..=2720).contains(&four)
                || four == 6011
                || (644..=659).contains(&three)
                || (3528..=3589).contains(&four)
                || matches!(two, 50 | 56..=58 | 62 | 63 | 67)
        }
        17 | 18 => matches!(two, 50 | 56..=58 | 62 | 63 | 67),
        19 => digits.first() == Some(&4) || matches!(two, 50 | 56..=58 | 62..=65 | 67),
        _ => false,
    }
}

fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(*digit) << (place % 2);
            if value > 9 { value - 9 } else { value }
        })
        .sum();
    sum.is_multiple_of(10)
}

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
            "6011111111111117",
            "30569309025904",
            "3566002020360505",
            "6200000000000005",
            "4242424242424242 123",
            "4242 4242 4242 4242 12/27",
            "07 4242424242424242",
            "cc4242424242424242",
            "4242424242424242 of 0191f7c2-a3b4-7000-8000-000000000000",
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
            "DE89370400440532013000",
            "pay_0191f7c2a3b44242424242424242a1b2",
            "00000000000000000000000000000000",
            "2026-11-21 20:21:51",
            "f04242424242424242c2d4e6f8a0b2c4",
            "run/0191f7ca-0000-4242-4242-424242424242",
        ] {
            assert!(!looks_like_card_number(text), "{text}");
        }
    }
}
