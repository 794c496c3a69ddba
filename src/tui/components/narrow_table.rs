//! Tables as kubectl prints them, set narrower: less space between columns, or the first column on a row of its own.
//!
//! Every cell stays whole. A table that is still too wide is left as it was, for its reader to move it sideways.

use crate::tui::text::width;

/// The spaces between two columns of a table that is set narrower.
const GAP: usize = 2;

/// The rows of a table in at most so many columns, if that can be had; the first row is its head.
pub fn fitted(table: &[&str], columns: usize) -> Vec<String> {
    let fits = |rows: &[String]| rows.iter().all(|row| width(row) <= columns);
    let as_it_is: Vec<String> = table.iter().map(|row| (*row).to_owned()).collect();
    if fits(&as_it_is) {
        return as_it_is;
    }
    let Some(cells) = cells(table) else { return as_it_is };
    let close = set(&cells);
    if fits(&close) {
        return close;
    }
    let rest: Vec<Vec<&str>> = cells.iter().map(|row| row[1..].to_vec()).collect();
    let names = cells.iter().map(|row| row[0].to_owned());
    let below = set(&rest).into_iter().map(|row| format!("{}{row}", " ".repeat(GAP)));
    let stacked: Vec<String> = names.zip(below).flat_map(|(name, below)| [name, below]).collect();
    if fits(&stacked) { stacked } else { as_it_is }
}

/// The cells of every row, cut where the head's columns begin; `None` if a row does not keep to them.
fn cells<'a>(table: &[&'a str]) -> Option<Vec<Vec<&'a str>>> {
    let head = table.first()?;
    // What is not ASCII would stand elsewhere than its bytes do.
    if table.iter().any(|row| !row.is_ascii()) {
        return None;
    }
    let begins = |at: &usize| *at == 0 || head[..*at].ends_with("  ") && !head[*at..].starts_with(' ');
    let starts: Vec<usize> = (0..head.len()).filter(begins).collect();
    let row = |row: &&'a str| {
        let ends = starts.iter().skip(1).copied().chain([usize::MAX]);
        let cell = |(start, end): (&usize, usize)| {
            let (start, end) = ((*start).min(row.len()), end.min(row.len()));
            let cell = &row[start..end];
            // A cell that reaches into the next column belongs to no column.
            (end == row.len() || cell.ends_with(' ')).then(|| cell.trim_end())
        };
        starts.iter().zip(ends).map(cell).collect::<Option<Vec<&str>>>()
    };
    table.iter().map(row).collect()
}

/// The cells in columns as wide as they must be.
fn set(cells: &[Vec<&str>]) -> Vec<String> {
    let count = cells.first().map_or(0, Vec::len);
    let widths: Vec<usize> =
        (0..count).map(|column| cells.iter().map(|row| row[column].len()).max().unwrap_or(0)).collect();
    let row = |row: &Vec<&str>| {
        let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<w$}", w = width + GAP));
        padded.collect::<String>().trim_end().to_owned()
    };
    cells.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PODS: [&str; 2] = [
        "NAME                                  READY   STATUS             RESTARTS   AGE",
        "kubernetes-bootcamp-7b59cf66d-bnmsd   0/1     ImagePullBackOff   0          14s",
    ];

    #[test]
    fn a_table_is_set_as_wide_as_it_can_be() {
        assert_eq!(fitted(&PODS, 80), PODS);
        assert_eq!(
            fitted(&PODS, 75),
            [
                "NAME                                 READY  STATUS            RESTARTS  AGE",
                "kubernetes-bootcamp-7b59cf66d-bnmsd  0/1    ImagePullBackOff  0         14s",
            ]
        );
        assert_eq!(
            fitted(&PODS, 41),
            [
                "NAME",
                "  READY  STATUS            RESTARTS  AGE",
                "kubernetes-bootcamp-7b59cf66d-bnmsd",
                "  0/1    ImagePullBackOff  0         14s",
            ]
        );
        assert_eq!(fitted(&PODS, 30), PODS, "too narrow for any of it");
    }

    #[test]
    fn rows_that_keep_to_no_columns_are_left_alone() {
        let torn = ["NAME   READY", "a name that is long", "web    1/1"];
        assert_eq!(fitted(&torn, 10), torn);
        assert_eq!(fitted(&["NAME   AGE", "叢集   1"], 6), ["NAME   AGE", "叢集   1"]);
        let short = ["NAME      AGE", "web", ""];
        assert_eq!(fitted(&short, 9), ["NAME  AGE", "web", ""]);
    }

    proptest! {
        #[test]
        fn no_cell_is_lost(names in prop::collection::vec("[a-z]{1,12}", 1..5), columns in 4usize..40) {
            let rows: Vec<String> = names.iter().map(|name| format!("{name:<15}1/1     Running")).collect();
            let head = format!("{:<15}READY   STATUS", "NAME");
            let mut table = vec![head.as_str()];
            table.extend(rows.iter().map(String::as_str));
            let told = |rows: &[String]| rows.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
            let plain: Vec<String> = table.iter().map(|row| (*row).to_owned()).collect();
            prop_assert_eq!(told(&fitted(&table, columns)), told(&plain));
        }
    }
}
