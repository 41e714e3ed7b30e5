//! Moments as callers give them: RFC 3339 with an offset, and nothing that a calendar or a database reads in another way.

use chrono::{DateTime, Datelike, SubsecRound, Utc};
use serde::{Deserialize, Deserializer, de::Error};

/// Why a text is no moment, with the remedy. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotMoment {
    /// Another form, such as one without an offset.
    #[error(
        "send a moment with its offset (RFC 3339), such as \"2027-01-31T08:00:00Z\" or \"2027-01-31T09:00:00+01:00\""
    )]
    Form,
    /// A second that few clocks have.
    #[error("a minute has the seconds 00 to 59: send the second before the leap second, or the one after")]
    LeapSecond,
    /// A year that nobody means.
    #[error("the year must be from 1970 to 9999")]
    Year,
}

/// Reads a moment, to the microsecond.
///
/// ```
/// use dunlin_jobs::read_moment;
///
/// assert_eq!(read_moment("2027-01-31T09:00:00+01:00"), read_moment("2027-01-31T08:00:00Z"));
/// assert!(read_moment("2027-01-31 08:00:00").is_err());
/// ```
///
/// # Errors
/// What is wrong, with the remedy.
pub fn read_moment(text: &str) -> Result<DateTime<Utc>, NotMoment> {
    if !is_rfc_3339(text) {
        // Years of more digits, or before the first one, have a sign.
        let is_signed = text
            .strip_prefix(['+', '-'])
            .is_some_and(|year| year.starts_with(|year: char| year.is_ascii_digit()));
        return Err(if is_signed { NotMoment::Year } else { NotMoment::Form });
    }
    if text.as_bytes().get(17..19) == Some(b"60") {
        return Err(NotMoment::LeapSecond);
    }
    let moment = DateTime::parse_from_rfc3339(text).map_err(|_| NotMoment::Form)?.with_timezone(&Utc);
    if !(1970..=9999).contains(&moment.year()) {
        return Err(NotMoment::Year);
    }
    Ok(moment.trunc_subsecs(6))
}

/// The shape alone: chrono takes a space for the T, years with a sign and more.
fn is_rfc_3339(text: &str) -> bool {
    let is_shaped = |text: &[u8], shape: &[u8]| {
        text.len() == shape.len()
            && text.iter().zip(shape).all(|(byte, shape)| match shape {
                b'0' => byte.is_ascii_digit(),
                b'T' => matches!(byte, b'T' | b't'),
                shape => byte == shape,
            })
    };
    let Some((moment, rest)) = text.as_bytes().split_at_checked(19) else { return false };
    let rest = match rest.split_first() {
        Some((b'.', rest)) => {
            let places = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if !(1..=9).contains(&places) {
                return false;
            }
            &rest[places..]
        }
        _ => rest,
    };
    let is_offset = matches!(rest, b"Z" | b"z") || is_shaped(rest, b"+00:00") || is_shaped(rest, b"-00:00");
    is_shaped(moment, b"0000-00-00T00:00:00") && is_offset
}

/// Reads a moment that may be left out or `null`, as `#[serde(deserialize_with = "dunlin_jobs::optional_moment")]`.
///
/// # Errors
/// Whatever else stands there.
pub fn optional_moment<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<DateTime<Utc>>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    text.map(|text| read_moment(&text)).transpose().map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_moment_has_one_form() {
        let expected = "2027-01-31T08:00:00.123456Z";
        for text in [
            "2027-01-31T08:00:00.123456Z",
            "2027-01-31t08:00:00.1234569z",
            "2027-01-31T09:00:00.123456+01:00",
            "2027-01-31T00:00:00.123456789-08:00",
        ] {
            let moment = read_moment(text).unwrap();
            assert_eq!(moment.to_rfc3339_opts(chrono::SecondsFormat::Micros, true), expected, "{text}");
        }
    }

    #[test]
    fn what_is_read_in_two_ways_is_refused() {
        for text in [
            "",
            "now",
            "2027-01-31",
            "2027-01-31T08:00:00",
            "2027-01-31 08:00:00Z",
            "2027-01-31T08:00Z",
            "2027-01-31T08:00:00 Z",
            "2027-01-31T08:00:00+0100",
            "2027-01-31T08:00:00+01",
            "2027-02-30T08:00:00Z",
            "2027-01-31T24:00:00Z",
            "2027-01-31T08:00:00.Z",
            "2027-01-31T08:00:00,5Z",
            "2027-W05-7T08:00:00Z",
            "1811404800",
            "2027-01-31T08:00:00.1234567890Z",
            "2027-01-31T08:00:00+25:00",
            "２027-01-31T08:00:00Z",
        ] {
            assert_eq!(read_moment(text), Err(NotMoment::Form), "{text}");
        }
        assert_eq!(read_moment("2026-12-31T23:59:60Z"), Err(NotMoment::LeapSecond));
        for text in [
            "0000-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "-0001-01-01T00:00:00Z",
            "+10000-01-01T00:00:00Z",
            "1970-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-01:00",
        ] {
            assert_eq!(read_moment(text), Err(NotMoment::Year), "{text}");
        }
    }
}
