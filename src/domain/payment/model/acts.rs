//! What the world may do to a payment, made from random numbers.

use super::Ruling;

/// What the world does next, about the current attempt or one near it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Due,
    Send,
    NotSent,
    Lost,
    Succeed {
        charge: u8,
        wrong_amount: bool,
    },
    Decline(&'static str),
    Challenge,
    Accept,
    RejectRequest,
    RejectMethod,
    RejectForNow,
    Absent,
    Cancel,
    Canceled,
    Withdrawn,
    Review,
    Retry,
    Process,
    Edit(u32),
    Settle,
    /// One of two people.
    Propose(Ruling, u8),
    Approve(Ruling, u8),
    MoveJob,
    Detach,
    Wait(i64),
}

/// An act, and how far from the current attempt it is.
pub(super) type Turn = (Act, i64);

/// Decodes a number, since random numbers are made far faster than random enums; a smaller one is a simpler act.
fn act(number: u32) -> Act {
    let which = number / ACTS;
    let (ruling, person) =
        (RULINGS[usize::from(which.is_multiple_of(2))], u8::try_from(which % 3 / 2).unwrap());
    match number % ACTS {
        0..=3 => Act::Due,
        4..=5 => Act::Send,
        6..=7 => Act::NotSent,
        8..=10 => Act::Lost,
        11..=12 => Act::Absent,
        13 => Act::Review,
        14..=15 => Act::Wait(i64::from(which) * 20 + 1),
        16..=19 => {
            Act::Succeed { charge: u8::try_from(which % 3).unwrap(), wrong_amount: which.is_multiple_of(5) }
        }
        20..=23 => Act::Decline(CODES[usize::try_from(which).unwrap() % CODES.len()]),
        24..=25 => Act::Challenge,
        26 => Act::Accept,
        27 if which.is_multiple_of(2) => Act::RejectRequest,
        27 => Act::RejectMethod,
        28 => Act::RejectForNow,
        29 => Act::Cancel,
        30 => Act::Canceled,
        31 if which.is_multiple_of(4) => Act::Process,
        31 if which % 4 == 1 => Act::Edit(which % 3),
        31 if which % 4 == 2 => Act::Detach,
        31 => Act::Retry,
        32 => Act::Settle,
        33..=35 => Act::Propose(ruling, person),
        36..=38 => Act::Approve(ruling, person),
        39 if which.is_multiple_of(2) => Act::Withdrawn,
        _ => Act::MoveJob,
    }
}

/// How many acts there are, by their weight.
pub(super) const ACTS: u32 = 40;
/// What takes two people.
const RULINGS: [Ruling; 2] = [Ruling::Canceled, Ruling::ChargeAgain];
/// How many numbers make each act in each of its shapes.
pub(super) const NUMBERS: u32 = ACTS * 32;

const CODES: [&str; 5] =
    ["insufficient_funds", "do_not_honor", "fraudulent", "brand_new", "authentication_required"];

/// What can happen while nobody says anything: time, crashes, retries and looks that find nothing.
pub(super) const SILENCE: u32 = 16;

pub(super) fn turn(number: u32) -> Turn {
    let offset = match number / NUMBERS % 10 {
        8 => -1,
        9 => 1,
        _ => 0,
    };
    (act(number % NUMBERS), offset)
}
