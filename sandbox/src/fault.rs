//! A fault is one thing that goes wrong with an exchange. It has one name, whoever asks for it.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What goes wrong, sorted by what became of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing is executed.
    Instead(Refusal),
    /// The work itself goes another way.
    Within(Twist),
    /// Everything is executed and stored; only the answer suffers.
    After(Damage),
}

/// What the caller meets instead of an execution; but for `StoredError` nothing is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The connection is closed.
    Cut,
    /// The connection is reset.
    Reset,
    /// The connection is reset, and the server does not listen for a while.
    Deaf(Duration),
    /// The connection is reset, and so is every new one for a while.
    Resetting(Duration),
    Error,
    Unavailable,
    /// By the limiter, which stands before the keys.
    RateLimited,
    LockTimeout,
    KeyInUse,
    KeyReused,
    Revoked,
    Redirect,
    /// The key is good, and may not do this.
    Forbidden,
    /// The version of the API is refused, whatever is asked.
    Version,
    /// The request is refused with a code that nobody has heard of.
    UnheardOf,
}

/// How the work itself goes another way; what the journal must know to repeat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Twist {
    /// Executed, and a 500 is stored under the key.
    ErrorAfter,
    /// Not executed, and a 500 is stored under the key.
    ErrorStored,
    /// One minor unit more than asked is taken.
    WrongAmount,
    /// Executed and cut, and the key is forgotten at once.
    Forgotten,
    /// Executed and cut; lists and the search know of it these seconds later.
    Unlisted(u32),
    /// Executed, but until these seconds have passed the key is in use and no answer comes.
    Busy(u32),
}

/// What becomes of an answer on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damage {
    Cut,
    Reset,
    Late(Duration),
    /// A proxy's 500 hides it.
    Masked,
    /// A proxy's 503 hides it.
    Unavailable,
    /// Another request under the key is said to be running.
    KeyInUse,
    /// The body is no JSON.
    Garbage,
    /// The body is JSON that ends in the middle.
    Truncated,
    /// The connection ends in the middle of the body.
    Torn,
    /// A byte at a time, with this pause between them.
    Drip(Duration),
    /// The currency is another one.
    WrongCurrency,
    /// Ids, codes and messages hold a NUL.
    Nul,
    /// Ids, codes and messages are longer than anybody expects.
    Endless,
    /// The charge is one that was seen before, whoever asks.
    SeenCharge,
}

/// The faults that have no number, by name.
const PLAIN: [(&str, Fault); 29] = [
    ("cut_before", Fault::Instead(Refusal::Cut)),
    ("reset_before", Fault::Instead(Refusal::Reset)),
    ("error_before", Fault::Instead(Refusal::Error)),
    ("unavailable_before", Fault::Instead(Refusal::Unavailable)),
    ("rate_limited", Fault::Instead(Refusal::RateLimited)),
    ("lock_timeout", Fault::Instead(Refusal::LockTimeout)),
    ("key_in_use", Fault::Instead(Refusal::KeyInUse)),
    ("key_reused", Fault::Instead(Refusal::KeyReused)),
    ("revoked", Fault::Instead(Refusal::Revoked)),
    ("redirect", Fault::Instead(Refusal::Redirect)),
    ("forbidden", Fault::Instead(Refusal::Forbidden)),
    ("version_refused", Fault::Instead(Refusal::Version)),
    ("unheard_of", Fault::Instead(Refusal::UnheardOf)),
    ("error_stored", Fault::Within(Twist::ErrorStored)),
    ("error_after", Fault::Within(Twist::ErrorAfter)),
    ("wrong_amount", Fault::Within(Twist::WrongAmount)),
    ("forgotten", Fault::Within(Twist::Forgotten)),
    ("cut_after", Fault::After(Damage::Cut)),
    ("reset_after", Fault::After(Damage::Reset)),
    ("error_masked", Fault::After(Damage::Masked)),
    ("unavailable_after", Fault::After(Damage::Unavailable)),
    ("key_in_use_after", Fault::After(Damage::KeyInUse)),
    ("garbage", Fault::After(Damage::Garbage)),
    ("truncated", Fault::After(Damage::Truncated)),
    ("torn", Fault::After(Damage::Torn)),
    ("wrong_currency", Fault::After(Damage::WrongCurrency)),
    ("nul_texts", Fault::After(Damage::Nul)),
    ("endless_texts", Fault::After(Damage::Endless)),
    ("seen_charge", Fault::After(Damage::SeenCharge)),
];

const MAX_MS: u64 = 600_000;
const MAX_SECONDS: u32 = 900;

impl Fault {
    /// The fault of this name; where it takes time, the name may end in how much.
    pub(crate) fn named(name: &str) -> Option<Self> {
        if let Some((_, fault)) = PLAIN.iter().find(|(known, _)| *known == name) {
            return Some(*fault);
        }
        match name.rsplit_once('_').and_then(|(kind, number)| Some((kind, digits(number)?))) {
            Some((kind, number)) => timed(kind, Some(number)),
            None => timed(name, None),
        }
    }
}

fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn timed(kind: &str, number: Option<u64>) -> Option<Fault> {
    let ms = |default| {
        let ms = number.unwrap_or(default);
        (ms <= MAX_MS).then(|| Duration::from_millis(ms))
    };
    let seconds = |default| u32::try_from(number.unwrap_or(default)).ok().filter(|it| *it <= MAX_SECONDS);
    Some(match kind {
        "refuse_connect" => Fault::Instead(Refusal::Deaf(ms(1000)?)),
        "reset_on_accept" => Fault::Instead(Refusal::Resetting(ms(1000)?)),
        "late" => Fault::After(Damage::Late(ms(60_000)?)),
        "drip" => Fault::After(Damage::Drip(ms(100)?)),
        "unlisted" => Fault::Within(Twist::Unlisted(seconds(900)?)),
        "busy" => Fault::Within(Twist::Busy(seconds(60)?)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_at_the_end_says_how_long() {
        assert_eq!(Fault::named("late_250"), Some(Fault::After(Damage::Late(Duration::from_millis(250)))));
        assert_eq!(Fault::named("late"), Some(Fault::After(Damage::Late(Duration::from_mins(1)))));
        assert_eq!(Fault::named("unlisted_30"), Some(Fault::Within(Twist::Unlisted(30))));
        assert_eq!(Fault::named("cut_after"), Some(Fault::After(Damage::Cut)));
    }

    #[test]
    fn what_is_no_fault_has_no_name() {
        for name in [
            "",
            "_",
            "late_",
            "late_x",
            "late_-1",
            "late_600001",
            "unlisted_901",
            "cut_after_1",
            "cut",
            "busy_99999999999",
        ] {
            assert_eq!(Fault::named(name), None, "{name}");
        }
    }
}
