//! The menu: what a plan chooses from, the cards, the orders for refunds, and what the gateway does wrong.

use super::{customer::Customer, plan::End};

pub(super) const DOUBTFUL: [(&str, End); 4] = [
    ("pm_sandbox_lost_before", End::Captured),
    ("pm_sandbox_lost_after", End::Captured),
    ("pm_sandbox_error_before", End::Captured),
    ("pm_sandbox_error_after", End::Captured),
];

/// Answered before the call is given up, and after.
pub(super) const SLOW: [(&str, End); 2] =
    [("pm_sandbox_slow_400", End::Captured), ("pm_sandbox_slow_700", End::Captured)];

pub(super) const OTHERS: [(&str, End); 10] = [
    ("pm_card_visa", End::Captured),
    ("pm_card_visa", End::Captured),
    ("pm_card_visa", End::Captured),
    ("pm_card_mastercard", End::Captured),
    ("pm_sandbox_insufficient_funds_1", End::Captured),
    ("pm_sandbox_try_again_later_1", End::Captured),
    ("pm_sandbox_do_not_honor_1", End::Captured),
    ("pm_sandbox_lost_after_decline", End::Refused),
    ("pm_card_visa_chargeDeclinedStolenCard", End::Refused),
    ("pm_card_authenticationRequired", End::Refused),
];

/// Those whose customer is there, and what they do when they are sent to their bank.
pub(super) const PRESENT: [(&str, Customer); 5] = [
    ("pm_card_authenticationRequired", Customer::Approves),
    ("pm_card_authenticationRequired", Customer::Approves),
    ("pm_card_authenticationRequired", Customer::Refuses),
    ("pm_card_threeDSecureRequiredChargeDeclined", Customer::Approves),
    ("pm_card_authenticationRequired", Customer::Leaves),
];

/// What is asked back of a captured 12.50, one after the other; without an amount, all that is left.
pub(super) const RETURNS: [&[Option<i64>]; 5] =
    [&[None], &[Some(500)], &[Some(400), Some(350)], &[Some(300), Some(300), None], &[Some(1250), Some(1)]];

/// How a request for a refund goes wrong at the gateway.
pub(super) const REFUND_FAULTS: [&str; 14] = [
    "cut_before",
    "cut_after",
    "cut_after",
    "reset_after",
    "error_before",
    "error_stored",
    "error_after",
    "error_masked",
    "unavailable_after",
    "lock_timeout",
    "garbage",
    "torn",
    "late_400",
    "late_700",
];

/// What goes wrong by chance: everything after which the truth can still be found, since the gateway keeps its word.
pub(super) const MISHAPS: [&str; 19] = [
    "cut_before",
    "reset_before",
    "error_before",
    "unavailable_before",
    "error_stored",
    "rate_limited",
    "lock_timeout",
    "key_in_use",
    "cut_after",
    "reset_after",
    "late_700",
    "busy_3",
    "error_after",
    "error_masked",
    "unavailable_after",
    "key_in_use_after",
    "garbage",
    "truncated",
    "torn",
];

/// How often something goes wrong, and with what share of the requests.
pub(super) const RATES: [&str; 3] = ["0.05", "0.15", "0.3"];
