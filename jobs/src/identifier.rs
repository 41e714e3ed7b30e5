//! Identifiers: references, keys and ids of a caller's own, read so that what looks the same is the same (S2.14).

use std::borrow::Cow;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Why a text is no identifier, with the remedy. It never repeats the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotIdentifier {
    /// Nothing is left once it is trimmed.
    #[error("the text is empty: leave the field out, or fill it")]
    Empty,
    /// A control character.
    #[error("it has the control character U+{:04X} as its character {position}: remove it", u32::from(*.character))]
    Control {
        /// Which one.
        character: char,
        /// Where it stands, counted in characters from 1.
        position: usize,
    },
    /// A space that is not the ordinary one.
    #[error(
        "it has the space U+{:04X}{} as its character {position}, which looks like an ordinary one: remove it, or type \
         an ordinary space",
        u32::from(*.character), name(*.character)
    )]
    Space {
        /// Which one.
        character: char,
        /// Where it stands, counted in characters from 1.
        position: usize,
    },
    /// A character that nobody sees, or that stands for one that was lost.
    #[error(
        "it has U+{:04X}{} as its character {position}, which cannot be seen or told from others: remove it",
        u32::from(*.character), name(*.character)
    )]
    Unseen {
        /// Which one.
        character: char,
        /// Where it stands, counted in characters from 1.
        position: usize,
    },
    /// What a spreadsheet shows where a formula failed or a column is too narrow.
    #[error(
        "{0} is what a spreadsheet shows where it has no value: mend the cell, and write the value that it should have"
    )]
    SpreadsheetError(String),
    /// A number that a spreadsheet has shortened, so that many have become one.
    #[error(
        "it is a number as a spreadsheet shortens it, such as 2.4952E+19, and its last digits are lost: make the column \
         text before anything is put into it, and write the value in full"
    )]
    ShortenedNumber,
}

/// Reads an identifier that somebody may have typed or copied: without the space around it, in Unicode's composed form
/// (NFC), and refused where two that look alike could differ, or where a spreadsheet has put something else into its
/// place.
///
/// ```
/// use dunlin_jobs::read_identifier;
///
/// assert_eq!(read_identifier(" INV-77\u{a0}").unwrap(), "INV-77");
/// assert_eq!(read_identifier("Mu\u{308}ller").unwrap(), "M\u{fc}ller");
/// assert!(read_identifier("INV-77\u{200b}").is_err());
/// ```
///
/// # Errors
/// What is wrong, with the remedy.
pub fn read_identifier(text: &str) -> Result<Cow<'_, str>, NotIdentifier> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(NotIdentifier::Empty);
    }
    let before = text.chars().count() - text.trim_start().chars().count();
    if let Some((place, character)) = trimmed.chars().enumerate().find(|(_, character)| !is_plain(*character))
    {
        let position = before + place + 1;
        return Err(if character.is_control() {
            NotIdentifier::Control { character, position }
        } else if character.is_whitespace() {
            NotIdentifier::Space { character, position }
        } else {
            NotIdentifier::Unseen { character, position }
        });
    }
    if is_spreadsheet_error(trimmed) {
        return Err(NotIdentifier::SpreadsheetError(trimmed.to_owned()));
    }
    if is_shortened_number(trimmed) {
        return Err(NotIdentifier::ShortenedNumber);
    }
    if trimmed.is_ascii() || is_nfc(trimmed) {
        return Ok(Cow::Borrowed(trimmed));
    }
    Ok(Cow::Owned(trimmed.nfc().collect()))
}

fn is_plain(character: char) -> bool {
    match character {
        ' '..='~' => true,
        _ => !character.is_control() && !character.is_whitespace() && !is_unseen(character),
    }
}

/// Whether a character shows nothing, or nothing that is agreed upon: a zero width space, a soft hyphen, a mark that turns
/// the direction of writing.
pub fn is_unseen(character: char) -> bool {
    UNSEEN.iter().any(|(first, last)| (*first..=*last).contains(&character))
}

/// Code points that show nothing, by Unicode's `Default_Ignorable_Code_Point` and general category Cf, with the blank
/// ones, the replacement character and those of private use, of which nobody knows what they show.
const UNSEEN: [(char, char); 35] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{e000}', '\u{f8ff}'),
    ('\u{fdd0}', '\u{fdef}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffd}'),
    ('\u{fffe}', '\u{ffff}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{16fe4}', '\u{16fe4}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d159}', '\u{1d159}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{1fffe}', '\u{1ffff}'),
    ('\u{2fffe}', '\u{2ffff}'),
    ('\u{3fffe}', '\u{3ffff}'),
    ('\u{e0000}', '\u{effff}'),
    ('\u{f0000}', '\u{10ffff}'),
];

/// What people may know a character by.
fn name(character: char) -> &'static str {
    match character {
        '\u{a0}' => " (no-break space)",
        '\u{ad}' => " (soft hyphen)",
        '\u{2009}' => " (thin space)",
        '\u{200b}' => " (zero width space)",
        '\u{200c}' => " (zero width non-joiner)",
        '\u{200d}' => " (zero width joiner)",
        '\u{200e}' => " (left-to-right mark)",
        '\u{200f}' => " (right-to-left mark)",
        '\u{202a}'..='\u{202e}' => " (turns the direction of writing)",
        '\u{202f}' => " (narrow no-break space)",
        '\u{2060}' => " (word joiner)",
        '\u{2066}'..='\u{2069}' => " (isolates the direction of writing)",
        '\u{3000}' => " (ideographic space)",
        '\u{feff}' => " (byte order mark)",
        '\u{fffd}' => " (stands for a character that was lost: the text was not UTF-8)",
        _ => "",
    }
}

/// `#N/A`, `#REF!`, `#NAME?` and their like in any language of a spreadsheet, `Err:502`, and `#####`.
fn is_spreadsheet_error(text: &str) -> bool {
    if let Some(number) = text.strip_prefix("Err:") {
        return number.len() == 3 && number.bytes().all(|byte| byte.is_ascii_digit());
    }
    let Some(rest) = text.strip_prefix('#') else { return false };
    if matches!(rest, "N/A" | "N/D" | "NV" | "NA" | "GETTING_DATA" | "N/DISP" | "I/T") {
        return true;
    }
    if text.len() >= 3 && text.bytes().all(|byte| byte == b'#') {
        return true;
    }
    let Some(word) = rest.strip_suffix(['!', '?']) else { return false };
    let word = word.strip_prefix(['¡', '¿']).unwrap_or(word);
    let is_word =
        |character: char| character.is_alphabetic() || matches!(character, '/' | '_' | '0' | ' ' | '.');
    (3..=16).contains(&word.chars().count()) && word.chars().all(is_word)
}

/// `2.4952E+19`, with a point or a comma.
fn is_shortened_number(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let Some((mantissa, exponent)) = text.split_once(['E', 'e']) else { return false };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_mantissa = match mantissa.split_once(['.', ',']) {
        Some((whole, decimals)) => whole.len() <= 3 && is_digits(whole) && is_digits(decimals),
        None => mantissa.len() <= 3 && is_digits(mantissa),
    };
    let Some(power) = exponent.strip_prefix(['+', '-']) else { return false };
    is_mantissa && power.len() <= 3 && is_digits(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_the_same_is_the_same() {
        for text in ["INV-77", " INV-77", "INV-77\u{a0}", "\u{3000}INV-77\u{2009}\n", "\tINV-77\r\n"] {
            assert_eq!(read_identifier(text).as_deref(), Ok("INV-77"), "{text:?}");
        }
        assert_eq!(read_identifier("Mu\u{308}ller"), read_identifier("Müller"));
        assert_eq!(read_identifier("\u{212b}").as_deref(), Ok("\u{c5}"));
        for text in
            ["Rechnung 7", "請求書-7", "инв-77", "a/b:c#d", "#7", "12E5", "7E12", "1E+", "E+05", "#12!"]
        {
            assert_eq!(read_identifier(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_cannot_be_seen_is_named_with_its_place() {
        for (text, told) in [
            ("INV-77\u{200b}", "U+200B (zero width space) as its character 7"),
            ("\u{feff}INV-77", "U+FEFF (byte order mark) as its character 1"),
            (" IN\u{ad}V", "U+00AD (soft hyphen) as its character 4"),
            ("INV\u{a0}77", "U+00A0 (no-break space) as its character 4"),
            ("INV\u{202e}77", "U+202E (turns the direction of writing)"),
            ("INV\u{2028}77", "U+2028"),
            ("INV\u{fffd}", "not UTF-8"),
            ("a\u{e0041}", "U+E0041"),
            ("a\tb", "control character U+0009 as its character 2"),
            ("a\u{0}", "control character U+0000"),
        ] {
            let error = read_identifier(text).unwrap_err().to_string();
            assert!(error.contains(told), "{text:?}: {error}");
        }
        assert_eq!(read_identifier(" \u{a0}"), Err(NotIdentifier::Empty));
    }

    #[test]
    fn what_a_spreadsheet_made_of_a_value_is_refused_by_name() {
        for text in [
            "#N/A",
            "#REF!",
            "#VALUE!",
            "#NAME?",
            "#DIV/0!",
            "#NUM!",
            "#NULL!",
            "#BEZUG!",
            "#WERT!",
            "#NV",
            "#¡REF!",
            "#¿NOMBRE?",
            "Err:502",
            "#####",
            " #REF! ",
        ] {
            let error = read_identifier(text).unwrap_err();
            assert_eq!(error, NotIdentifier::SpreadsheetError(text.trim().to_owned()));
            assert!(error.to_string().contains(text.trim()));
        }
        for text in ["2.4952E+19", "1.23E+05", "2,4952E+19", "1E+15", "-1.5e-07", "4.24242424242424E+15"] {
            let error = read_identifier(text).unwrap_err();
            assert_eq!(error, NotIdentifier::ShortenedNumber, "{text}");
            assert!(!error.to_string().contains("4.24"));
        }
    }

    #[test]
    fn the_ranges_are_in_order() {
        assert!(UNSEEN.windows(2).all(|pair| pair[0].1 < pair[1].0));
        assert!(UNSEEN.iter().all(|(first, last)| first <= last));
    }
}
