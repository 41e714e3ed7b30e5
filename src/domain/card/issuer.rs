//! Issuers: which digits can be a card's number, by prefix, that issuer's length and the check digit (Luhn, ISO/IEC
//! 7812-1).

pub(super) fn is_card_number(digits: &[u8]) -> bool {
    has_issuer_prefix(digits) && passes_luhn(digits)
}

/// Prefixes and lengths as the networks publish them (Visa, Mastercard, American Express, Discover, Diners Club, JCB,
/// `UnionPay`, Maestro, Mir). Visa's numbers of 13 digits are long gone, and every second telephone number is as long.
fn has_issuer_prefix(digits: &[u8]) -> bool {
    let prefix = |n: usize| digits.iter().take(n).fold(0_u32, |sum, digit| sum * 10 + u32::from(*digit));
    let (two, three, four) = (prefix(2), prefix(3), prefix(4));
    let is_visa = digits.first() == Some(&4);
    let is_longer = || {
        matches!(two, 50 | 56..=58 | 62 | 63 | 67)
            || four == 6011
            || (644..=659).contains(&three)
            || (3528..=3589).contains(&four)
            || (2200..=2204).contains(&four)
    };
    match digits.len() {
        14 => (300..=305).contains(&three) || matches!(two, 36 | 38 | 39),
        15 => matches!(two, 34 | 37),
        16 => is_visa || (51..=55).contains(&two) || (2221..=2720).contains(&four) || is_longer(),
        17 | 18 => is_longer(),
        19 => is_visa || is_longer(),
        _ => false,
    }
}

fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(*digit) << (place % 2);
            if value > 9 { value - 9 } else { value }
        })
        .sum();
    sum.is_multiple_of(10)
}
