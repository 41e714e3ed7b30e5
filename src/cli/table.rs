//! Tables for people: columns that are as wide as what stands in them.

/// The lines of a table, its head first.
pub(super) fn lines<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> Vec<String> {
    let head = head.map(str::to_owned);
    let all = || std::iter::once(&head).chain(rows);
    let width = |column: usize| all().map(|row| shown(&row[column])).max().unwrap_or(0);
    let widths: Vec<_> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let padded = |(cell, width): (&String, &usize)| format!("{cell}{}", " ".repeat(width - shown(cell)));
        row.iter().zip(&widths).map(padded).collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all().map(line).collect()
}

/// How many characters of a cell are seen: a colour takes no room.
fn shown(cell: &str) -> usize {
    let mut pieces = cell.split('\u{1b}');
    let first = pieces.next().unwrap_or_default().chars().count();
    let after = |piece: &str| piece.split_once('m').map_or(0, |(_, rest)| rest.chars().count());
    first + pieces.map(after).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_their_heads() {
        let rows = [["ä".to_owned(), "one".to_owned()], ["long".to_owned(), String::new()]];

        assert_eq!(lines(["A", "NAME"], &rows), ["A     NAME", "ä     one", "long"]);
        assert_eq!(lines(["A", "B"], &[]), ["A  B"]);
    }

    #[test]
    fn a_colour_takes_no_room() {
        let rows =
            [["\u{1b}[31mred\u{1b}[0m".to_owned(), "x".to_owned()], ["plain".to_owned(), "y".to_owned()]];

        assert_eq!(lines(["A", "B"], &rows), ["A      B", "\u{1b}[31mred\u{1b}[0m    x", "plain  y"]);
    }
}
