//! Evidence: what the record of a request proves whose outcome is open, be it a charge or a refund. Whether its
//! bytes may go again, and whether finding nothing counts (S1.9), is decided here and nowhere else.

use crate::{
    domain::{clock::Time, exchange_result::ExchangeResult},
    gateway::Traits,
    store::change::Exchange,
};
use chrono::TimeDelta;

/// Two looks that find nothing count as two only when they are this far apart (S1.9).
const BETWEEN_ABSENCES: TimeDelta = TimeDelta::minutes(5);

/// The record of one request, as it is seen now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Evidence<'a> {
    pub(super) traits: &'a Traits,
    /// What was exchanged about it, first one first.
    pub(super) exchanges: &'a [Exchange],
    pub(super) now: Time,
}

/// What it proves that a complete look has found nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absence {
    /// The request may not have come to light yet.
    ProvesNothing,
    /// It counts, and needs a second one that finds nothing, at that time or later.
    First { again_at: Time },
    /// The gateway does not have it.
    Proven,
}

impl Evidence<'_> {
    /// Whether the same bytes may go again under their key, which the gateway must still remember, and whose answer
    /// must not be an error that it has kept.
    pub(super) fn may_resend(&self, first_sent_at: Time) -> bool {
        // S2.11: 0.8 of the key's life, in whole numbers.
        let limit = TimeDelta::from_std(self.traits.key_ttl * 8 / 10).unwrap_or(TimeDelta::zero());
        // An error under the key of a cancel says nothing about the key of a send.
        let sent = ended(self.exchanges).filter(|(exchange, _)| exchange.kind.moves_money());
        let is_useless =
            sent.map(|(_, result)| result).any(|result| result == Some(ExchangeResult::StoredError));
        self.traits.key_supported && self.now - first_sent_at < limit && !is_useless
    }

    /// When whoever looks must see what was sent last, if it was taken.
    pub(super) fn shows_from(&self, last_sent_at: Time) -> Time {
        // The gateway may have worked on the request for this long before there was anything to be listed.
        let shows_after = self.traits.max_timeout + self.traits.settle_delay;
        last_sent_at + TimeDelta::from_std(shows_after).unwrap_or(TimeDelta::MAX)
    }

    /// What it proves that a look has found nothing now. It counts only late enough, and only twice (S1.9).
    pub(super) fn absence(&self, last_sent_at: Time) -> Absence {
        let counts_from = self.shows_from(last_sent_at);
        if self.now < counts_from {
            return Absence::ProvesNothing;
        }
        let counts = counts_from..=self.now - BETWEEN_ABSENCES;
        let before = |(exchange, result): (&Exchange, Option<ExchangeResult>)| {
            result == Some(ExchangeResult::Absent) && counts.contains(&exchange.opened_at)
        };
        if ended(self.exchanges).any(before) {
            return Absence::Proven;
        }
        Absence::First { again_at: self.now + BETWEEN_ABSENCES }
    }
}

/// The request as it was sent at first.
pub(super) fn first_send(exchanges: &[Exchange]) -> Option<&Exchange> {
    sends(exchanges).next()
}

/// When the request last left, as far as is on record.
pub(super) fn last_sent_at(exchanges: &[Exchange]) -> Option<Time> {
    sends(exchanges).map(|exchange| exchange.opened_at).max()
}

fn sends(exchanges: &[Exchange]) -> impl Iterator<Item = &Exchange> {
    exchanges.iter().filter(|exchange| exchange.kind.moves_money())
}

/// Whether the gateway has said of an attempt that it has it, or may have, where it is not on record what it said.
pub(super) fn was_accepted(exchanges: &[Exchange]) -> bool {
    ended(exchanges).any(|(_, result)| result.is_none_or(ExchangeResult::is_accepted))
}

/// The exchanges that are over, with what they proved, where that is on record.
pub(super) fn ended(exchanges: &[Exchange]) -> impl Iterator<Item = (&Exchange, Option<ExchangeResult>)> {
    exchanges.iter().filter_map(|exchange| Some((exchange, exchange.closed.as_ref()?.result)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{attempt::ExchangeKind, payment::fixtures::at},
        store::change::Closing,
    };
    use dunlin_jobs::{ExchangeId, PaymentId};
    use std::time::Duration;

    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;

    fn traits() -> Traits {
        Traits {
            key_supported: true,
            key_ttl: Duration::from_hours(10),
            replays_errors: true,
            param_compare: true,
            limiter_before_idempotency: true,
            query_by_reference: true,
            settle_delay: Duration::from_mins(50),
            cancel_by_key: false,
            max_timeout: Duration::from_mins(10),
        }
    }

    fn exchange(kind: ExchangeKind, opened_at: Time, result: Option<ExchangeResult>) -> Exchange {
        let id = ExchangeId::mint(opened_at, [1; 10]);
        let payment = PaymentId::mint(at(0), [1; 10]);
        let closed = result.map(|result| Closing {
            id,
            payment,
            at: opened_at,
            http_status: None,
            result: Some(result),
            // Words that look like another result decide nothing (S1.23).
            verdict: "absent".to_owned(),
            answer: None,
        });
        Exchange {
            id,
            payment,
            attempt: 1,
            refund: None,
            kind,
            resend: false,
            method: "POST".to_owned(),
            path: "/".to_owned(),
            idempotency_key: None,
            api_version: "1".to_owned(),
            body: String::new(),
            opened_at,
            closed,
        }
    }

    fn absent(opened_at: Time) -> Exchange {
        exchange(ExchangeKind::Query, opened_at, Some(ExchangeResult::Absent))
    }

    fn may_resend(traits: &Traits, exchanges: &[Exchange], now: Time) -> bool {
        Evidence { traits, exchanges, now }.may_resend(at(0))
    }

    fn absence(exchanges: &[Exchange], now: Time) -> Absence {
        Evidence { traits: &traits(), exchanges, now }.absence(at(0))
    }

    // S2.11
    #[test]
    fn the_same_bytes_may_go_again_until_four_fifths_of_the_keys_life() {
        assert!(may_resend(&traits(), &[], at(8 * HOUR - 1)));
        assert!(!may_resend(&traits(), &[], at(8 * HOUR)));
    }

    // S2.10
    #[test]
    fn nothing_goes_again_where_the_gateway_knows_no_keys() {
        let keyless = Traits { key_supported: false, ..traits() };

        assert!(!may_resend(&keyless, &[], at(1)));
    }

    #[test]
    fn nothing_goes_again_once_the_gateway_keeps_an_error_under_the_key() {
        let kept = [exchange(ExchangeKind::Create, at(0), Some(ExchangeResult::StoredError))];
        let lost = [exchange(ExchangeKind::Create, at(0), Some(ExchangeResult::Unknown))];
        let of_a_cancel = [exchange(ExchangeKind::Cancel, at(0), Some(ExchangeResult::StoredError))];

        assert!(may_resend(&traits(), &of_a_cancel, at(1)));
        assert!(!may_resend(&traits(), &kept, at(1)));
        assert!(may_resend(&traits(), &lost, at(1)));
    }

    // S1.9
    #[test]
    fn finding_nothing_proves_nothing_before_the_gateway_must_show_it() {
        let looked = [absent(at(HOUR - 10 * MINUTE))];

        assert_eq!(absence(&looked, at(HOUR - 1)), Absence::ProvesNothing);
    }

    // S1.9
    #[test]
    fn a_first_absence_asks_for_a_second_one_five_minutes_later() {
        let again_at = at(HOUR + 5 * MINUTE);

        assert_eq!(absence(&[], at(HOUR)), Absence::First { again_at });
    }

    // S1.9
    #[test]
    fn two_absences_count_only_five_minutes_apart() {
        let looked = [absent(at(HOUR))];
        let early = at(HOUR + 5 * MINUTE - 1);

        assert_eq!(absence(&looked, early), Absence::First { again_at: early + BETWEEN_ABSENCES });
        assert_eq!(absence(&looked, at(HOUR + 5 * MINUTE)), Absence::Proven);
    }

    // S1.9
    #[test]
    fn a_look_that_came_too_early_is_no_first_absence() {
        let looked = [absent(at(HOUR - 1))];

        assert!(matches!(absence(&looked, at(3 * HOUR)), Absence::First { .. }));
    }

    #[test]
    fn only_a_complete_look_that_found_nothing_is_an_absence() {
        let open = exchange(ExchangeKind::Query, at(HOUR), None);
        let incomplete = exchange(ExchangeKind::Query, at(HOUR), Some(ExchangeResult::NotOnPage));

        assert!(matches!(absence(&[open, incomplete], at(3 * HOUR)), Absence::First { .. }));
    }

    #[test]
    fn a_question_is_no_send() {
        let exchanges = [
            exchange(ExchangeKind::Query, at(1), None),
            exchange(ExchangeKind::Refund, at(2), None),
            exchange(ExchangeKind::Refund, at(3), None),
            exchange(ExchangeKind::Cancel, at(4), None),
        ];

        assert_eq!(first_send(&exchanges).map(|send| send.opened_at), Some(at(2)));
        assert_eq!(last_sent_at(&exchanges), Some(at(3)));
    }

    // S1.17
    #[test]
    fn the_gateways_word_that_it_has_an_attempt_is_remembered() {
        for result in ExchangeResult::ALL {
            let said = [exchange(ExchangeKind::Create, at(0), Some(result))];
            let accepted = matches!(result, ExchangeResult::Pending | ExchangeResult::RequiresAction);

            assert_eq!(was_accepted(&said), accepted, "{result:?}");
        }
    }

    // S1.23
    #[test]
    fn what_is_not_on_record_as_a_value_is_no_evidence_of_absence() {
        let mut unrecorded = absent(at(HOUR));
        unrecorded.closed.as_mut().unwrap().result = None;

        assert!(was_accepted(&[unrecorded.clone()]));
        assert!(matches!(absence(&[unrecorded], at(3 * HOUR)), Absence::First { .. }));
    }
}
