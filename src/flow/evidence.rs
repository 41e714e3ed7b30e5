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
    /// It counts, and needs a second one that finds nothing, after that long or later.
    First { again_in: TimeDelta },
    /// The gateway does not have it.
    Proven,
}

impl Evidence<'_> {
    /// When the gateway last said that it has executed other bytes than ours under our key: which ones, nobody here
    /// knows, so that finding nothing proves nothing, and nothing goes again.
    pub(super) fn mismatched_at(&self) -> Option<Time> {
        let mismatched = ended(self.exchanges)
            .filter(|(exchange, result)| {
                exchange.kind.moves_money() && *result == Some(ExchangeResult::Mismatch)
            })
            .map(|(exchange, _)| exchange.opened_at);
        mismatched.max()
    }

    /// Whether the same bytes may go again under their key, which the gateway must still remember, and whose answer
    /// must not be an error that it has kept. It is asked before each send, for much time may lie between two.
    pub(super) fn may_resend(&self, born_at: Time) -> bool {
        let first_sent_at = first_send(self.exchanges).map_or(born_at, |first| first.opened_at);
        // An error under the key of a cancel says nothing about the key of a send.
        let mut sent = ended(self.exchanges).filter(|(exchange, _)| exchange.kind.moves_money());
        // A kept error comes again, and what the gateway has named is asked after by its name.
        let is_useless = sent.any(|(_, result)| {
            matches!(
                result,
                Some(ExchangeResult::StoredError | ExchangeResult::Unreadable | ExchangeResult::Mismatch)
            )
        });
        self.is_key_young(born_at) && self.is_key_young(first_sent_at) && !is_useless
    }

    /// Whether the gateway must still remember a key that was not used before that moment.
    pub(super) fn is_key_young(&self, since: Time) -> bool {
        // S2.11: 0.8 of the key's life, in whole numbers.
        let limit = TimeDelta::from_std(self.traits.key_ttl * 8 / 10).unwrap_or(TimeDelta::zero());
        // What is dated in the future was so by a clock that is off, and its age is not known; nor is any age where the
        // clock has been set back since the last call.
        let is_set_back = self.exchanges.iter().any(|exchange| exchange.opened_at > self.now);
        self.traits.key_supported && !is_set_back && (TimeDelta::zero()..limit).contains(&(self.now - since))
    }

    /// Whether looks that ended at that moment or later prove that the gateway has nothing of before.
    pub(super) fn is_proven_absent_since(&self, moment: Time) -> bool {
        self.proven_absent_at().is_some_and(|at| at >= moment)
    }

    fn proven_absent_at(&self) -> Option<Time> {
        let proven =
            ended(self.exchanges).filter(|(_, result)| *result == Some(ExchangeResult::ProvenAbsent));
        proven.map(|(exchange, _)| exchange.opened_at).max()
    }

    /// Whether nothing that was sent can have been executed: each send was turned away, or came before looks that
    /// prove that the gateway has nothing. Only then is the next send a first one (S1.8).
    pub(super) fn is_unsent(&self) -> bool {
        let proven_at = self.proven_absent_at();
        let is_unexecuted = |send: &Exchange| {
            let result = send.closed.as_ref().and_then(|closed| closed.result);
            result.is_some_and(ExchangeResult::is_unexecuted)
                || proven_at.is_some_and(|proven_at| send.opened_at < proven_at)
        };
        self.mismatched_at().is_none() && sends(self.exchanges).all(is_unexecuted)
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
        // What is dated in the future was so by a clock that is off, and when it was sent is not known.
        let is_dated_well = |send: &Exchange| send.opened_at <= self.now;
        let is_foreign = self.mismatched_at().is_some();
        if is_foreign || self.now < counts_from || !sends(self.exchanges).all(is_dated_well) {
            return Absence::ProvesNothing;
        }
        let counts = counts_from..=self.now - BETWEEN_ABSENCES;
        let before = |(exchange, result): (&Exchange, Option<ExchangeResult>)| {
            let is_absent = matches!(result, Some(ExchangeResult::Absent | ExchangeResult::ProvenAbsent));
            is_absent && counts.contains(&exchange.opened_at)
        };
        if ended(self.exchanges).any(before) {
            return Absence::Proven;
        }
        Absence::First { again_in: BETWEEN_ABSENCES }
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

    // S2.11
    #[test]
    fn the_keys_life_counts_from_the_first_send_that_is_on_record() {
        let sent = |opened_at| [exchange(ExchangeKind::Create, opened_at, None)];

        assert!(may_resend(&traits(), &sent(at(-1)), at(8 * HOUR - 2)));
        assert!(!may_resend(&traits(), &sent(at(-1)), at(8 * HOUR - 1)));
        assert!(!may_resend(&traits(), &sent(at(HOUR)), at(8 * HOUR)), "and from the attempt's birth");
    }

    #[test]
    fn a_send_that_is_dated_in_the_future_proves_nothing() {
        let sent = |opened_at| [exchange(ExchangeKind::Create, opened_at, None)];
        let late =
            [exchange(ExchangeKind::Create, at(0), None), exchange(ExchangeKind::Create, at(9 * HOUR), None)];

        assert!(may_resend(&traits(), &sent(at(0)), at(0)));
        assert!(!may_resend(&traits(), &[], at(-1)), "born in the future");
        assert!(!may_resend(&traits(), &sent(at(HOUR)), at(HOUR - 1)), "sent in the future");
        assert_eq!(absence(&late, at(9 * HOUR - 1)), Absence::ProvesNothing);
        assert!(matches!(absence(&late, at(9 * HOUR)), Absence::First { .. }));
    }

    #[test]
    fn no_key_is_young_where_the_clock_was_set_back_since_the_last_call() {
        let asked = [
            exchange(ExchangeKind::Create, at(0), None),
            exchange(ExchangeKind::Query, at(9 * HOUR), Some(ExchangeResult::Absent)),
        ];

        assert!(!may_resend(&traits(), &asked, at(HOUR)));
    }

    // S1.8
    #[test]
    fn nothing_was_sent_where_each_send_was_turned_away() {
        let is_unsent =
            |exchanges: &[Exchange]| Evidence { traits: &traits(), exchanges, now: at(9 * HOUR) }.is_unsent();
        let sent = |result| exchange(ExchangeKind::Create, at(1), result);

        assert!(is_unsent(&[]));
        assert!(!is_unsent(&[sent(None)]), "it may be on the wire");
        for result in ExchangeResult::ALL {
            let turned_away =
                [ExchangeResult::NotSent, ExchangeResult::Credentials, ExchangeResult::Rejected]
                    .contains(&result);
            let not_sent = sent(Some(ExchangeResult::NotSent));
            assert_eq!(is_unsent(&[sent(Some(result))]), turned_away, "{result:?}");
            assert_eq!(is_unsent(&[sent(Some(result)), not_sent]), turned_away, "{result:?}, then not sent");
        }
    }

    // S1.9
    #[test]
    fn nothing_was_sent_before_an_absence_that_is_proven() {
        let is_unsent =
            |exchanges: &[Exchange]| Evidence { traits: &traits(), exchanges, now: at(9 * HOUR) }.is_unsent();
        let sent = |opened_at, result| exchange(ExchangeKind::Create, opened_at, result);
        let looked = |result| exchange(ExchangeKind::Query, at(2 * HOUR), Some(result));
        let lost = sent(at(0), Some(ExchangeResult::Unknown));
        let proven = looked(ExchangeResult::ProvenAbsent);

        assert!(is_unsent(&[lost.clone(), proven.clone()]));
        assert!(!is_unsent(&[lost.clone(), looked(ExchangeResult::Absent)]), "one look proves nothing");
        assert!(!is_unsent(&[
            lost.clone(),
            proven.clone(),
            sent(at(3 * HOUR), Some(ExchangeResult::Unknown))
        ]));
        assert!(
            !is_unsent(&[proven.clone(), sent(at(2 * HOUR), None)]),
            "it may have been sent after the look"
        );
        assert!(is_unsent(&[lost, proven, sent(at(3 * HOUR), Some(ExchangeResult::NotSent))]));
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
        let named = [exchange(ExchangeKind::Create, at(0), Some(ExchangeResult::Unreadable))];
        let lost = [exchange(ExchangeKind::Create, at(0), Some(ExchangeResult::Unknown))];
        let of_a_cancel = [exchange(ExchangeKind::Cancel, at(0), Some(ExchangeResult::StoredError))];

        assert!(may_resend(&traits(), &of_a_cancel, at(1)));
        assert!(!may_resend(&traits(), &kept, at(1)));
        assert!(!may_resend(&traits(), &named, at(1)));
        assert!(may_resend(&traits(), &lost, at(1)));
    }

    // S1.8
    #[test]
    fn where_the_key_was_used_for_other_bytes_nothing_goes_again_and_nothing_is_proven_absent() {
        let mismatched = exchange(ExchangeKind::Create, at(0), Some(ExchangeResult::Mismatch));
        let proven = exchange(ExchangeKind::Query, at(HOUR), Some(ExchangeResult::ProvenAbsent));
        let exchanges = [mismatched, absent(at(HOUR)), proven];
        let evidence = Evidence { traits: &traits(), exchanges: &exchanges, now: at(2 * HOUR) };

        assert_eq!(evidence.mismatched_at(), Some(at(0)));
        assert!(!evidence.may_resend(at(0)) && !evidence.is_unsent());
        assert_eq!(evidence.absence(at(0)), Absence::ProvesNothing);
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
        assert_eq!(absence(&[], at(HOUR)), Absence::First { again_in: TimeDelta::minutes(5) });
    }

    // S1.9
    #[test]
    fn two_absences_count_only_five_minutes_apart() {
        let looked = [absent(at(HOUR))];
        let early = at(HOUR + 5 * MINUTE - 1);

        assert_eq!(absence(&looked, early), Absence::First { again_in: BETWEEN_ABSENCES });
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
