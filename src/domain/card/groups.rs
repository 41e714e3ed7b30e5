//! Groups: digits as they are printed, with anything but letters and digits between them, and which groups can be those of
//! a card's number.

use super::issuer::is_card_number;

/// Groups of digits between which nothing but a few separators stands.
#[derive(Debug, Default)]
pub(super) struct Run {
    digits: Vec<u8>,
    /// Where each group begins.
    begins: Vec<usize>,
    /// What stands before each group but the first.
    gaps: Vec<String>,
}

/// The longest that may stand between two groups, in characters.
const LONGEST_GAP: usize = 4;

/// The runs of a plain text.
pub(super) fn runs(text: &str) -> Vec<Run> {
    let mut runs = vec![Run::default()];
    let mut gap = String::new();
    for character in text.chars() {
        let digit = character.to_digit(10).and_then(|digit| u8::try_from(digit).ok());
        match digit {
            Some(digit) => {
                if let Some(run) = runs.last_mut() {
                    run.push(digit, &mut gap);
                }
            }
            None if character.is_alphanumeric() || gap.chars().count() >= LONGEST_GAP => {
                gap.clear();
                if runs.last().is_some_and(|run| !run.digits.is_empty()) {
                    runs.push(Run::default());
                }
            }
            None => gap.push(character),
        }
    }
    runs
}

impl Run {
    fn push(&mut self, digit: u8, gap: &mut String) {
        if self.digits.is_empty() || !gap.is_empty() {
            if !self.digits.is_empty() {
                self.gaps.push(gap.clone());
            }
            self.begins.push(self.digits.len());
            gap.clear();
        }
        self.digits.push(digit);
    }

    pub(super) fn digits(&self) -> usize {
        self.digits.len()
    }

    /// Whole groups only, as a number is often followed by its expiry date. Inside a longer group nothing is looked for
    /// but a number with its expiry: account and tracking numbers would match by chance.
    pub(super) fn contains_card_number(&self) -> bool {
        let groups = self.begins.len();
        (0..groups).any(|first| {
            let is_near =
                |end: &usize| self.end_of(*end) - self.begins[first] <= LENGTHS.end() + LONGEST_EXPIRY;
            (first + 1..=groups).take_while(is_near).any(|end| self.is_card_number(first, end))
        })
    }

    fn is_card_number(&self, first: usize, end: usize) -> bool {
        let begin = self.begins[first];
        let digits = &self.digits[begin..self.end_of(end)];
        let last_begins = self.begins[end - 1] - begin;
        LENGTHS.rev().filter(|length| (last_begins + 1..=digits.len()).contains(length)).any(|length| {
            let (number, rest) = digits.split_at(length);
            (rest.is_empty() || self.is_expiry(rest, end))
                && is_card_number(number)
                && self.is_printed_so(first, end, length)
        })
    }

    fn end_of(&self, group: usize) -> usize {
        self.begins.get(group).copied().unwrap_or(self.digits.len())
    }

    fn length(&self, group: usize) -> usize {
        self.end_of(group + 1) - self.begins[group]
    }

    /// Whether a number of that length, the last group of which may go on, is in groups as people write them.
    fn is_printed_so(&self, first: usize, end: usize, length: usize) -> bool {
        let mut lengths: Vec<_> = (first..end - 1).map(|group| self.length(group)).collect();
        lengths.push(length - lengths.iter().sum::<usize>());
        let [all_but_last @ .., last] = lengths.as_slice() else { return false };
        let is_uniform = |size: usize| all_but_last.iter().all(|length| *length == size) && *last <= size;
        match all_but_last {
            [] => true,
            _ if is_uniform(4) => true,
            // As American Express and Diners Club print them, and UnionPay.
            [4, 6] => matches!(last, 4 | 5),
            [6] => *last == 13 || (self.is_soft(first, end) && *last == 10),
            _ if [1, 2, 3].into_iter().any(is_uniform) => self.is_apart(first, end),
            _ if is_uniform(5) || is_uniform(6) => length == 16,
            _ => length == 16 && ends_by_fours(&lengths) && self.is_soft(first, end),
        }
    }

    /// Whether the groups beside have another length: telephone numbers and dates come in rows of small groups.
    fn is_apart(&self, first: usize, end: usize) -> bool {
        let size = self.length(first);
        let before = first.checked_sub(1).map(|group| self.length(group));
        let after = (end < self.begins.len()).then(|| self.length(end));
        before != Some(size) && after != Some(size)
    }

    /// Whether only spaces, line breaks and dashes stand between the groups: other marks stand in lists.
    fn is_soft(&self, first: usize, end: usize) -> bool {
        let is_soft = |character: char| character.is_whitespace() || DASHES.contains(&character);
        self.gaps[first..end - 1].iter().all(|gap| gap.chars().count() <= 2 && gap.chars().all(is_soft))
    }

    /// Whether what follows the number is its expiry, MMYY or MMYYYY, a security code behind it or not; or the month of it,
    /// with the year after a mark.
    fn is_expiry(&self, rest: &[u8], end: usize) -> bool {
        let number = |digits: &[u8]| digits.iter().fold(0_u32, |sum, digit| sum * 10 + u32::from(*digit));
        let is_month = |digits: &[u8]| (1..=12).contains(&number(digits));
        let is_year = |digits: &[u8]| match digits.len() {
            2 => (24..=40).contains(&number(digits)),
            4 => (2024..=2040).contains(&number(digits)),
            _ => false,
        };
        match rest.len() {
            2 if end < self.begins.len() => {
                let year = &self.digits[self.begins[end]..self.end_of(end + 1)];
                is_month(rest) && is_year(year) && self.gaps[end - 1].chars().count() == 1
            }
            4 | 7 | 8 if is_month(&rest[..2]) && is_year(&rest[2..4]) => true,
            6 | 9 | 10 => is_month(&rest[..2]) && is_year(&rest[2..6]),
            _ => false,
        }
    }
}

/// Whether each group ends where a group of four would.
fn ends_by_fours(lengths: &[usize]) -> bool {
    lengths.iter().all(|length| length % 4 == 0)
}

/// The lengths of card numbers in use.
const LENGTHS: std::ops::RangeInclusive<usize> = 14..=19;
/// MMYYYY and a security code of four digits.
const LONGEST_EXPIRY: usize = 10;

const DASHES: [char; 8] =
    ['-', '\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2014}', '\u{2015}', '\u{2212}'];
