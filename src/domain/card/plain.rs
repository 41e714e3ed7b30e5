//! The text as it is looked at: compatibility forms made plain (NFKC), every script's digits as 0 to 9, nothing that shows
//! nothing, and percent signs decoded.

use dunlin_jobs::is_unseen;
use std::borrow::Cow;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let shown = text.nfkc().filter(|character| !is_unseen(*character) && !is_combining_mark(*character));
    Cow::Owned(shown.map(with_digits).collect())
}

/// What an address means by its percent signs, where it has any.
pub(super) fn decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return None;
    }
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    let mut found = false;
    for part in parts {
        if let Some(byte) = part.get(..2).and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            found = true;
            bytes.push(byte);
            bytes.extend_from_slice(&part.as_bytes()[2..]);
        } else {
            bytes.push(b'%');
            bytes.extend_from_slice(part.as_bytes());
        }
    }
    found.then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// What JSON, or a program's quotation, means by its backslashes, where it has any.
pub(super) fn unescaped(text: &str) -> Option<String> {
    if !text.contains('\\') {
        return None;
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escaped)) = rest.split_once('\\') {
        plain.push_str(before);
        let mut characters = escaped.chars();
        match characters.next() {
            Some('u') => {
                let (code, after) = code(characters.as_str());
                plain.push(code.unwrap_or(' '));
                rest = after;
                continue;
            }
            Some('n' | 'r' | 't' | 'b' | 'f' | '0') | None => plain.push(' '),
            Some(other) => plain.push(other),
        }
        rest = characters.as_str();
    }
    plain.push_str(rest);
    Some(plain)
}

/// The character of `XXXX` or `{X..}`, and what follows it.
fn code(text: &str) -> (Option<char>, &str) {
    let read = |code: &str| u32::from_str_radix(code, 16).ok().and_then(char::from_u32);
    match text.strip_prefix('{').and_then(|braced| braced.split_once('}')) {
        Some((code, rest)) if code.len() <= 6 => (read(code), rest),
        _ => text.split_at_checked(4).map_or((None, text), |(code, rest)| (read(code), rest)),
    }
}

/// A decimal digit of any script as one of ours.
fn with_digits(character: char) -> char {
    if character.is_ascii() {
        return character;
    }
    let place = ZEROS.partition_point(|zero| *zero <= character);
    let zero = place.checked_sub(1).map_or(u32::MAX, |place| u32::from(ZEROS[place]));
    let digit = u32::from(character).checked_sub(zero).filter(|digit| *digit < 10);
    digit.and_then(|digit| char::from_digit(digit, 10)).unwrap_or(character)
}

/// The zero of each script whose decimal digits stay what they are under NFKC (general category Nd).
const ZEROS: [char; 58] = [
    '\u{660}',
    '\u{6f0}',
    '\u{7c0}',
    '\u{966}',
    '\u{9e6}',
    '\u{a66}',
    '\u{ae6}',
    '\u{b66}',
    '\u{be6}',
    '\u{c66}',
    '\u{ce6}',
    '\u{d66}',
    '\u{de6}',
    '\u{e50}',
    '\u{ed0}',
    '\u{f20}',
    '\u{1040}',
    '\u{1090}',
    '\u{17e0}',
    '\u{1810}',
    '\u{1946}',
    '\u{19d0}',
    '\u{1a80}',
    '\u{1a90}',
    '\u{1b50}',
    '\u{1bb0}',
    '\u{1c40}',
    '\u{1c50}',
    '\u{a620}',
    '\u{a8d0}',
    '\u{a900}',
    '\u{a9d0}',
    '\u{a9f0}',
    '\u{aa50}',
    '\u{abf0}',
    '\u{104a0}',
    '\u{10d30}',
    '\u{11066}',
    '\u{110f0}',
    '\u{11136}',
    '\u{111d0}',
    '\u{112f0}',
    '\u{11450}',
    '\u{114d0}',
    '\u{11650}',
    '\u{116c0}',
    '\u{11730}',
    '\u{118e0}',
    '\u{11950}',
    '\u{11c50}',
    '\u{11d50}',
    '\u{11da0}',
    '\u{16a60}',
    '\u{16ac0}',
    '\u{16b50}',
    '\u{1e140}',
    '\u{1e2f0}',
    '\u{1e950}',
];
