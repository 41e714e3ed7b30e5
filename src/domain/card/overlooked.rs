//! What is looked over: identifiers, account numbers and telephone numbers that say by themselves what they are.

use super::issuer::is_card_number;

/// The text with a letter in the place of each of them, so that nothing is joined over it.
pub(super) fn without_known(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut kept = String::with_capacity(text.len());
    let mut place = 0;
    while let Some(character) = characters.get(place) {
        let begins = place == 0 || !characters[place - 1].is_alphanumeric();
        let rest = &characters[place..];
        let length = if begins { known(rest, &characters[..place]) } else { None };
        kept.push(if length.is_some() { 'x' } else { *character });
        place += length.unwrap_or(1).max(1);
    }
    kept
}

/// How long what stands here is, where it is known.
fn known(rest: &[char], before: &[char]) -> Option<usize> {
    identifier(rest)
        .or_else(|| iban(rest))
        .or_else(|| telephone(rest, before))
        .or_else(|| fraction(rest, before))
}

/// A UUID, or a long hexadecimal number with a letter in it: one in some ten thousand would match by chance.
fn identifier(rest: &[char]) -> Option<usize> {
    const UUID: [usize; 5] = [8, 4, 4, 4, 12];
    let is_hex = |characters: &[char]| characters.iter().all(char::is_ascii_hexdigit);
    let ends = |place: usize| rest.get(place).is_none_or(|character| !character.is_alphanumeric());
    let mut place = 0;
    let is_uuid = UUID.iter().enumerate().all(|(n, length)| {
        let dash = n == 0 || rest.get(place) == Some(&'-');
        place += usize::from(n > 0);
        let is_part = rest.get(place..place + length).is_some_and(is_hex);
        place += length;
        dash && is_part
    });
    if is_uuid && ends(place) {
        return Some(place);
    }
    let length = rest.iter().take_while(|character| character.is_ascii_hexdigit()).count();
    let has_letter = rest[..length].iter().any(char::is_ascii_alphabetic);
    (length >= IDENTIFIER && has_letter && ends(length)).then_some(length)
}

/// The shortest hexadecimal identifier that is looked over.
const IDENTIFIER: usize = 24;

/// An IBAN, printed in groups or not: of its country's length, with its check digits (ISO 13616).
fn iban(rest: &[char]) -> Option<usize> {
    let [first, second, ..] = rest else { return None };
    let country: String = [first, second].into_iter().map(char::to_ascii_uppercase).collect();
    let length = IBANS.iter().find(|(known, _)| *known == country)?.1;
    let mut digits = Vec::with_capacity(length);
    let mut place = 0;
    while digits.len() < length {
        match rest.get(place)? {
            character if character.is_ascii_alphanumeric() => digits.push(character.to_ascii_uppercase()),
            ' ' | '-' | '.' if digits.len() >= 4 => {}
            _ => return None,
        }
        place += 1;
    }
    let ends = rest.get(place).is_none_or(|character| !character.is_alphanumeric())
        && digits[2..4].iter().all(char::is_ascii_digit);
    let remainder = digits[4..].iter().chain(&digits[..4]).try_fold(0_u32, |rest, character| {
        let value = character.to_digit(36)?;
        Some((rest * if value > 9 { 100 } else { 10 } + value) % 97)
    });
    (ends && remainder == Some(1)).then_some(place)
}

/// The length of each country's IBAN, by the register of SWIFT.
#[rustfmt::skip]
const IBANS: [(&str, usize); 88] = [
    ("AD", 24), ("AE", 23), ("AL", 28), ("AT", 20), ("AZ", 28), ("BA", 20), ("BE", 16), ("BG", 22), ("BH", 22), ("BI", 27),
    ("BR", 29), ("BY", 28), ("CH", 21), ("CR", 22), ("CY", 28), ("CZ", 24), ("DE", 22), ("DJ", 27), ("DK", 18), ("DO", 28),
    ("EE", 20), ("EG", 29), ("ES", 24), ("FI", 18), ("FK", 18), ("FO", 18), ("FR", 27), ("GB", 22), ("GE", 22), ("GI", 23),
    ("GL", 18), ("GR", 27), ("GT", 28), ("HN", 28), ("HR", 21), ("HU", 28), ("IE", 22), ("IL", 23), ("IQ", 23), ("IS", 26),
    ("IT", 27), ("JO", 30), ("KW", 30), ("KZ", 20), ("LB", 28), ("LC", 32), ("LI", 21), ("LT", 20), ("LU", 20), ("LV", 21),
    ("LY", 25), ("MC", 27), ("MD", 24), ("ME", 22), ("MK", 19), ("MN", 20), ("MR", 27), ("MT", 31), ("MU", 30), ("NI", 28),
    ("NL", 18), ("NO", 15), ("OM", 23), ("PK", 24), ("PL", 28), ("PS", 29), ("PT", 25), ("QA", 29), ("RO", 24), ("RS", 22),
    ("RU", 33), ("SA", 24), ("SC", 31), ("SD", 18), ("SE", 24), ("SI", 19), ("SK", 24), ("SM", 27), ("SO", 23), ("ST", 25),
    ("SV", 28), ("TL", 23), ("TN", 24), ("TR", 26), ("UA", 29), ("VA", 22), ("VG", 24), ("XK", 20),
];

/// A telephone number as it is dialled from abroad, `+49 151 2345678` or `0049 ...`: at most 15 digits (E.164). One that is
/// a card's number of 14 or 15 digits is none: no country has any of that length and beginning.
fn telephone(rest: &[char], before: &[char]) -> Option<usize> {
    let prefix = match rest {
        ['+', '0'..='9' | '(', ..] => 1,
        ['0', '0', '1'..='9' | ' ' | '-' | '/', ..] => 2,
        _ => return None,
    };
    // The second group of a card's number may begin with zeros, and a plus may stand between its groups.
    let mut earlier = before.iter().rev().take_while(|character| prefix == 2 || !character.is_whitespace());
    if earlier.find(|character| character.is_alphanumeric()).is_some_and(char::is_ascii_digit) {
        return None;
    }
    let mut digits = Vec::new();
    let (mut place, mut end) = (prefix, prefix);
    while let Some(character) = rest.get(place) {
        match character.to_digit(10).and_then(|digit| u8::try_from(digit).ok()) {
            Some(digit) => {
                digits.push(digit);
                end = place + 1;
            }
            None if matches!(character, ' ' | '-' | '(' | ')' | '/' | '.') && place - end < 2 => {}
            None => break,
        }
        place += 1;
    }
    let ends = rest.get(end).is_none_or(|character| !character.is_alphanumeric());
    let is_number = (7..=15).contains(&digits.len()) && !is_card_number(&digits);
    (ends && is_number).then_some(end)
}

/// A fraction below one with all its places, as a program prints it.
fn fraction(rest: &[char], before: &[char]) -> Option<usize> {
    let ['0', '.', decimals @ ..] = rest else { return None };
    if before.last().is_some_and(|character| matches!(character, '.' | ',' | '/' | '_')) {
        return None;
    }
    let length = decimals.iter().take_while(|character| character.is_ascii_digit()).count();
    let ends = decimals.get(length).is_none_or(|character| !character.is_alphanumeric());
    (length > 0 && ends).then_some(length + 2)
}
