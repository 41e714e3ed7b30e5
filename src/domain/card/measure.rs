//! How often a card number is missed, and how often something else is taken for one: both measured over generated values,
//! by a seed that does not change.

use super::looks_like_card_number;

/// How many of each kind.
const OF_EACH: u32 = 20_000;

/// `SplitMix64`.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to one below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.next() % u64::try_from(all.len()).unwrap()).unwrap()]
    }

    fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + u8::try_from(self.below(10)).unwrap())).collect()
    }

    /// The text with each `#` a digit.
    fn fill(&mut self, pattern: &str) -> String {
        pattern
            .chars()
            .map(|character| if character == '#' { self.digits(1) } else { character.into() })
            .collect()
    }
}

fn per_10_000(mut one: impl FnMut(&mut Dice) -> String) -> u32 {
    let mut dice = Dice(2026);
    let refused = (0..OF_EACH).filter(|_| looks_like_card_number(&one(&mut dice))).count();
    u32::try_from(refused).unwrap() * 10_000 / OF_EACH
}

fn mobile(dice: &mut Dice) -> String {
    let prefix = dice
        .of(&["151", "1511", "152", "157", "160", "162", "170", "171", "172", "175", "176", "179", "1590"]);
    let (short, long) = (dice.digits(7), dice.digits(8));
    let number = if dice.below(2) == 0 { short } else { long };
    let (head, tail) = number.split_at(4);
    match dice.below(11) {
        0 => format!("+49{prefix}{number}"),
        1 => format!("+49 {prefix} {number}"),
        2 => format!("+49 {prefix} {head} {tail}"),
        3 => format!("+49 (0){prefix} {number}"),
        4 => format!("0049{prefix}{number}"),
        5 => format!("0049 {prefix} {number}"),
        6 => format!("49{prefix}{number}"),
        7 => format!("49 {prefix} {number}"),
        8 => format!("0{prefix}/{number}"),
        9 => format!("0{prefix} {head}-{tail}"),
        _ => format!("Tel. 49-{prefix}-{head}-{tail}, abends"),
    }
}

fn landline(dice: &mut Dice) -> String {
    let area = dice.of(&[
        "30", "40", "89", "221", "69", "711", "341", "351", "371", "3641", "36203", "39203", "4421", "5121",
    ]);
    let length = usize::try_from(dice.below(3)).unwrap() + 6;
    // Eleven digits with the area's, and two of an extension: fifteen from abroad, the most that there are (E.164).
    let number = dice.digits(length.min(11 - area.len()));
    let (head, tail) = number.split_at(3);
    let extension = dice.digits(2);
    match dice.below(10) {
        0 => format!("+49{area}{number}"),
        1 => format!("+49 {area} {number}"),
        2 => format!("+49 {area} {head} {tail}-{extension}"),
        3 => format!("+49 (0) {area} / {head} {tail}"),
        4 => format!("0049 {area} {number}-{extension}"),
        5 => format!("49 {area} {number}"),
        6 => format!("49{area}{number}{extension}"),
        7 => format!("(0{area}) {head} {tail}"),
        8 => format!("0{area}/{number}-{extension}"),
        _ => format!("0{area} {number}, Fax 0{area} {head}{extension}"),
    }
}

/// A number with its check digit, the weights 1 and 3 in turn.
fn ean(dice: &mut Dice) -> String {
    let prefix =
        dice.of(&["400", "401", "405", "440", "300", "360", "380", "390", "500", "541", "590", "640", "871"]);
    let body = format!("{prefix}{}", dice.digits(9));
    let sum: u32 = body
        .bytes()
        .enumerate()
        .map(|(n, digit)| u32::from(digit - b'0') * if n % 2 == 0 { 1 } else { 3 })
        .sum();
    let code = format!("{body}{}", (10 - sum % 10) % 10);
    match dice.below(4) {
        0 => code,
        1 => format!("{} {} {}", &code[..1], &code[1..7], &code[7..]),
        2 => format!("EAN {code}, 12 St."),
        _ => format!("{code} 100"),
    }
}

fn iban(dice: &mut Dice) -> String {
    let (country, pattern) = dice.of(&[
        ("DE", "##################"),
        ("AT", "################"),
        ("CH", "#################"),
        ("FR", "#######################"),
        ("ES", "####################"),
        ("BE", "############"),
        ("PL", "########################"),
        ("NL", "ABNA##########"),
        ("GB", "NWBK##############"),
        ("IT", "X######################"),
        ("DK", "##############"),
        ("FI", "##############"),
    ]);
    let account = dice.fill(pattern);
    let rest = format!("{account}{country}00")
        .chars()
        .map(|character| character.to_digit(36).unwrap())
        .fold(0, |rest, value| (rest * if value > 9 { 100 } else { 10 } + value) % 97);
    format!("{country}{:02}{account}", 98 - rest)
}

fn in_fours(text: &str) -> String {
    in_parts_of(4, text, " ")
}

fn in_parts_of(size: usize, text: &str, between: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(size).map(String::from_iter).collect::<Vec<_>>().join(between)
}

fn date(dice: &mut Dice) -> String {
    let (year, month, day) = (2000 + dice.below(50), 1 + dice.below(12), 1 + dice.below(28));
    let (hour, minute, second, micros) =
        (dice.below(24), dice.below(60), dice.below(60), dice.below(1_000_000));
    match dice.below(8) {
        0 => format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"),
        1 => format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z"),
        2 => format!("{day:02}.{month:02}.{year} - {:02}.{month:02}.{year}", day + 1),
        3 => format!("{year}{month:02}{day:02}{hour:02}{minute:02}{second:02}"),
        4 => format!("{year}{month:02}{day:02}-{hour:02}{minute:02}{second:02}-{:03}", micros % 1000),
        5 => format!("{month:02}/{day:02}/{year} {hour:02}:{minute:02} to {month:02}/{:02}/{year}", day + 1),
        6 => format!("{}{micros:06}", 1_700_000_000 + dice.below(400_000_000)),
        _ => format!("{day}.{month}.{year}, {hour}:{minute:02} Uhr"),
    }
}

fn invoice(dice: &mut Dice) -> String {
    let pattern = dice.of(&[
        "2026-######",
        "RE-2026-11-####",
        "INV-########",
        "20261130###",
        "R2026/11/####",
        "2026-11-####-##",
        "#####-2026-11-####",
        "4711-2026-####",
        "Rechnung 2026######, Kunde #####",
        "RG#############",
        "INV#### INV#### INV#### INV####",
        "5000#####/2026",
        "2026.11.30-####",
        "K######-R########",
    ]);
    dice.fill(pattern)
}

fn order(dice: &mut Dice) -> String {
    let pattern = dice.of(&[
        "ORD-2026-######",
        "##########",
        "############",
        "#############",
        "###-#######-#######",
        "##-#####-#####",
        "#1####",
        "176############",
        "1#################",
        "2026113022001########00####",
        "4200001####202611##########",
        "order_######",
        "EU-#####-#####-#####",
        "S0#########",
        "W############",
    ]);
    dice.fill(pattern)
}

fn uuid(dice: &mut Dice) -> String {
    let hex = format!("{:016x}{:016x}", dice.next(), dice.next());
    let dashed = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
    match dice.below(4) {
        0 => dashed,
        1 => dashed.to_uppercase(),
        2 => format!("pay_{hex}"),
        _ => format!("order {dashed}/7"),
    }
}

#[test]
fn what_is_no_card_number_is_refused_once_in_a_thousand_at_most() {
    type Kind = (&'static str, fn(&mut Dice) -> String);
    let kinds: [Kind; 10] = [
        ("mobile", mobile),
        ("landline", landline),
        ("EAN-13", ean),
        ("IBAN", iban),
        ("IBAN in fours", |dice| in_fours(&iban(dice))),
        ("IBAN in a sentence", |dice| format!("from {} of 2026-11-30", in_fours(&iban(dice)).to_lowercase())),
        ("date", date),
        ("invoice", invoice),
        ("order", order),
        ("UUID", uuid),
    ];

    for (kind, one) in kinds {
        let refused = per_10_000(one);
        assert!(refused < 10, "{kind}: {refused} of 10,000 are refused");
    }
}

/// What no rule can tell apart: a number of sixteen digits of one's own. docs/card-numbers.md has the figure.
#[test]
fn of_sixteen_digits_of_any_kind_three_in_a_hundred_are_refused() {
    let solid = per_10_000(|dice| dice.digits(16));
    let in_fours = per_10_000(|dice| in_fours(&dice.digits(16)));
    let of_twenty = per_10_000(|dice| dice.digits(20));

    assert!((200..400).contains(&solid), "{solid}");
    assert!((200..400).contains(&in_fours), "{in_fours}");
    assert!(of_twenty < 20, "{of_twenty}");
}

fn card(dice: &mut Dice) -> String {
    let (prefix, length) = dice.of(&[
        ("4", 16),
        ("4", 16),
        ("4", 19),
        ("51", 16),
        ("55", 16),
        ("2221", 16),
        ("2720", 16),
        ("34", 15),
        ("37", 15),
        ("300", 14),
        ("305", 14),
        ("36", 14),
        ("38", 14),
        ("6011", 16),
        ("65", 16),
        ("644", 16),
        ("3528", 16),
        ("3589", 16),
        ("62", 16),
        ("62", 17),
        ("62", 18),
        ("62", 19),
        ("5018", 16),
        ("6304", 16),
        ("6759", 18),
        ("2200", 16),
    ]);
    let body = format!("{prefix}{}", dice.digits(length - prefix.len() - 1));
    let sum: u32 = body
        .bytes()
        .rev()
        .enumerate()
        .map(|(n, digit)| {
            let value = u32::from(digit - b'0') * if n % 2 == 0 { 2 } else { 1 };
            if value > 9 { value - 9 } else { value }
        })
        .sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

/// As its network prints it.
fn printed(card: &str, between: &str) -> String {
    let ends: &[usize] = match card.len() {
        14 => &[4, 10, 14],
        15 => &[4, 10, 15],
        16 => &[4, 8, 12, 16],
        length => &[4, 8, 12, 16, length],
    };
    let mut begin = 0;
    let groups = ends.iter().map(|end| &card[std::mem::replace(&mut begin, *end)..*end]);
    groups.collect::<Vec<_>>().join(between)
}

fn in_digits_of(zero: char, text: &str) -> String {
    let digit = |digit: u32| char::from_u32(u32::from(zero) + digit).unwrap();
    text.chars().map(|character| character.to_digit(10).map_or(character, digit)).collect()
}

#[test]
fn no_card_number_is_missed_however_it_is_written() {
    const BETWEEN: [&str; 27] = [
        " ", "  ", "-", " - ", ".", ",", ", ", ":", ";", "/", "|", "_", "+", " + ", "*", "=", "\n", "\r\n",
        "\t", "\u{a0}", "\u{2009}", "\u{200b}", "\u{2013}", "\u{2014}", "\u{202f}", "\u{3000}", "\u{b7}",
    ];
    const ZEROS: [char; 6] = ['\u{ff10}', '\u{660}', '\u{6f0}', '\u{966}', '\u{1d7ce}', '\u{e50}'];
    type Form = fn(&str, &mut Dice) -> String;
    let forms: [Form; 24] = [
        |card, _| card.to_owned(),
        |card, _| format!("card: {card}, thanks"),
        |card, _| format!("cc{card}"),
        |card, _| format!("+{card}"),
        |card, _| format!("07 {card} 12/27 123"),
        |card, dice| format!("{card}{:02}{:02}", 1 + dice.below(12), 24 + dice.below(17)),
        |card, dice| format!("{card}{:02}/{:02}", 1 + dice.below(12), 24 + dice.below(17)),
        |card, dice| format!("{card}{:02}/20{:02}", 1 + dice.below(12), 24 + dice.below(17)),
        |card, dice| format!("{card}{:02}20{:02}", 1 + dice.below(12), 24 + dice.below(17)),
        |card, dice| format!("{card}{:02}{:02}{}", 1 + dice.below(12), 24 + dice.below(17), dice.digits(3)),
        |card, dice| format!("{}{:02}{:02}", printed(card, " "), 1 + dice.below(12), 24 + dice.below(17)),
        |card, _| format!("{} 1227", printed(card, " ")),
        |card, _| format!(";{card}=27121010000012300000?"),
        |card, dice| in_digits_of(dice.of(&ZEROS), card),
        |card, dice| in_digits_of(dice.of(&ZEROS), &printed(card, " ")),
        |card, _| card.chars().map(String::from).collect::<Vec<_>>().join(" "),
        |card, _| card.chars().map(String::from).collect::<Vec<_>>().join("\u{200b}"),
        |card, _| card.chars().flat_map(|digit| [digit, '\u{fe0f}', '\u{20e3}']).collect(),
        |card, _| in_parts_of(2, card, "-"),
        |card, _| in_parts_of(4, card, "\n"),
        |card, _| printed(card, "%20"),
        |card, _| printed(card, "\u{ad}"),
        |card, dice| format!("{} {}", iban(dice), printed(card, " ")),
        |card, dice| format!("{}, {}", mobile(dice), printed(card, "-")),
    ];
    let mut dice = Dice(2027);

    for (n, form) in forms.into_iter().enumerate() {
        for _ in 0..OF_EACH / 10 {
            let text = form(&card(&mut dice), &mut dice);
            assert!(looks_like_card_number(&text), "form {n}: {text:?}");
        }
    }
    for between in BETWEEN {
        for _ in 0..OF_EACH / 10 {
            let text = printed(&card(&mut dice), between);
            assert!(looks_like_card_number(&text), "{between:?}: {text:?}");
        }
    }
}
