//! Text in columns, laid out as Go's `text/tabwriter` does for `istioctl` (no minimal width, padded with spaces).

/// Lays out `rows`, one line each.
///
/// The last cell of a row belongs to no column and is never padded; a column is as wide as its widest cell among
/// consecutive rows that have it, plus `padding`.
pub(crate) fn columns(rows: &[Vec<String>], padding: usize) -> String {
    let mut widths: Vec<Vec<usize>> = rows.iter().map(|_| Vec::new()).collect();
    for column in 0..rows.iter().map(Vec::len).max().unwrap_or(0) {
        let padded = |row: &Vec<String>| row.len() > column + 1;
        let mut start = 0;
        for block in rows.chunk_by(|a, b| padded(a) == padded(b)) {
            let cells = block.iter().filter(|row| padded(row));
            if let Some(width) = cells.map(|row| width(&row[column])).max() {
                for widths in &mut widths[start..start + block.len()] {
                    widths.push(width + padding);
                }
            }
            start += block.len();
        }
    }
    let lines = rows
        .iter()
        .zip(&widths)
        .map(|(row, widths)| line(row, widths));
    lines.collect()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (n, cell) in row.iter().enumerate() {
        line.push_str(cell);
        let missing = widths.get(n).map_or(0, |wide| wide - width(cell));
        line.extend(std::iter::repeat_n(' ', missing));
    }
    line.push('\n');
    line
}

fn width(cell: &str) -> usize {
    cell.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        let strings = |row: &&[&str]| row.iter().map(ToString::to_string).collect();
        rows.iter().map(strings).collect()
    }

    #[test]
    fn the_last_cell_is_not_padded_but_the_one_before_an_empty_one_is() {
        let text = columns(&rows(&[&["A", "B", "C"], &["long", "x", ""]]), 2);
        assert_eq!(text, "A     B  C\nlong  x  \n");
    }

    #[test]
    fn a_column_ends_with_the_rows_that_have_it() {
        let text = columns(&rows(&[&["a", "b"], &["alone"], &["longer", "c"]]), 1);
        assert_eq!(text, "a b\nalone\nlonger c\n");
    }

    #[test]
    fn an_empty_column_is_as_wide_as_its_padding() {
        assert_eq!(columns(&rows(&[&["a", "", "c"]]), 5), "a          c\n");
    }

    #[test]
    fn width_is_counted_in_characters() {
        assert_eq!(
            columns(&rows(&[&["é", "1"], &["ab", "2"]]), 1),
            "é  1\nab 2\n"
        );
    }
}
