//! Tables for people: columns that are as wide as what stands in them.

/// The lines of a table, its head first.
pub(super) fn lines<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> Vec<String> {
    let head = head.map(str::to_owned);
    let all = || std::iter::once(&head).chain(rows);
    let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all().map(line).collect()
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
}
