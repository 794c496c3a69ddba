//! The difference of two texts, as the messages of refused pod updates show it.
// Models Python's difflib (SequenceMatcher, unified_diff), which Kubernetes' diff package follows too.

use std::collections::{HashMap, HashSet};

/// How many unchanged lines are shown around a change.
const CONTEXT: usize = 3;
/// From this many lines on, lines that occur often are no anchors.
const POPULAR_FROM: usize = 200;

/// A stretch of equal lines: so many from `a` in the one text and from `b` in the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Match {
    a: usize,
    b: usize,
    size: usize,
}

/// A stretch of lines that are equal, or that are replaced.
#[derive(Clone, Copy, Debug)]
struct Step {
    equal: bool,
    a: (usize, usize),
    b: (usize, usize),
}

/// The unified diff without a head, each line with its end.
pub(crate) fn unified(before: &str, after: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (before.split('\n').collect(), after.split('\n').collect());
    let mut text = String::new();
    for group in groups(&steps(&a, &b)) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let (old, new) = (range(first.a.0, last.a.1), range(first.b.0, last.b.1));
        text.push_str(&format!("@@ -{old} +{new} @@\n"));
        for step in &group {
            if step.equal {
                a[step.a.0..step.a.1].iter().for_each(|line| text.push_str(&format!(" {line}\n")));
            } else {
                a[step.a.0..step.a.1].iter().for_each(|line| text.push_str(&format!("-{line}\n")));
                b[step.b.0..step.b.1].iter().for_each(|line| text.push_str(&format!("+{line}\n")));
            }
        }
    }
    text
}

fn range(start: usize, stop: usize) -> String {
    match stop - start {
        0 => format!("{start},0"),
        1 => format!("{}", start + 1),
        length => format!("{},{length}", start + 1),
    }
}

fn steps(a: &[&str], b: &[&str]) -> Vec<Step> {
    let mut steps = vec![];
    let (mut i, mut j) = (0, 0);
    for found in matches(a, b).into_iter().chain([Match { a: a.len(), b: b.len(), size: 0 }]) {
        if i < found.a || j < found.b {
            steps.push(Step { equal: false, a: (i, found.a), b: (j, found.b) });
        }
        (i, j) = (found.a + found.size, found.b + found.size);
        if found.size > 0 {
            steps.push(Step { equal: true, a: (found.a, i), b: (found.b, j) });
        }
    }
    steps
}

/// The changes with the lines around them, near ones together.
fn groups(steps: &[Step]) -> Vec<Vec<Step>> {
    let mut steps = steps.to_vec();
    if steps.iter().all(|step| step.equal) {
        return vec![];
    }
    if let Some(first) = steps.first_mut().filter(|step| step.equal) {
        first.a.0 = first.a.0.max(first.a.1.saturating_sub(CONTEXT));
        first.b.0 = first.b.0.max(first.b.1.saturating_sub(CONTEXT));
    }
    if let Some(last) = steps.last_mut().filter(|step| step.equal) {
        last.a.1 = last.a.1.min(last.a.0 + CONTEXT);
        last.b.1 = last.b.1.min(last.b.0 + CONTEXT);
    }
    let (mut groups, mut group) = (vec![], vec![]);
    for mut step in steps {
        if step.equal && step.a.1 - step.a.0 > 2 * CONTEXT {
            let end = |(start, stop): (usize, usize)| (start, stop.min(start + CONTEXT));
            group.push(Step { a: end(step.a), b: end(step.b), ..step });
            groups.push(std::mem::take(&mut group));
            step.a.0 = step.a.0.max(step.a.1 - CONTEXT);
            step.b.0 = step.b.0.max(step.b.1 - CONTEXT);
        }
        group.push(step);
    }
    if group.iter().any(|step| !step.equal) {
        groups.push(group);
    }
    groups
}

/// The stretches that both texts have, in order, next to each other ones joined.
fn matches(a: &[&str], b: &[&str]) -> Vec<Match> {
    let index = index(b);
    let (mut open, mut found) = (vec![(0, a.len(), 0, b.len())], vec![]);
    while let Some((a_low, a_high, b_low, b_high)) = open.pop() {
        let best = longest(a, b, &index, (a_low, a_high), (b_low, b_high));
        if best.size > 0 {
            found.push(best);
            if a_low < best.a && b_low < best.b {
                open.push((a_low, best.a, b_low, best.b));
            }
            if best.a + best.size < a_high && best.b + best.size < b_high {
                open.push((best.a + best.size, a_high, best.b + best.size, b_high));
            }
        }
    }
    found.sort_unstable();
    let mut joined: Vec<Match> = vec![];
    for next in found {
        match joined.last_mut() {
            Some(last) if last.a + last.size == next.a && last.b + last.size == next.b => {
                last.size += next.size
            }
            _ => joined.push(next),
        }
    }
    joined
}

/// Where each line of the text is, without lines that are too popular to tell anything.
fn index<'a>(b: &[&'a str]) -> HashMap<&'a str, Vec<usize>> {
    let mut index: HashMap<&str, Vec<usize>> = HashMap::new();
    for (position, line) in b.iter().enumerate() {
        index.entry(line).or_default().push(position);
    }
    if b.len() >= POPULAR_FROM {
        let most = b.len() / 100 + 1;
        let popular: HashSet<&str> =
            index.iter().filter(|(_, at)| at.len() > most).map(|(line, _)| *line).collect();
        index.retain(|line, _| !popular.contains(line));
    }
    index
}

/// The longest stretch that both ranges have; of several the first.
fn longest(
    a: &[&str],
    b: &[&str],
    index: &HashMap<&str, Vec<usize>>,
    (a_low, a_high): (usize, usize),
    (b_low, b_high): (usize, usize),
) -> Match {
    let mut best = Match { a: a_low, b: b_low, size: 0 };
    let mut lengths: HashMap<usize, usize> = HashMap::new();
    for (i, line) in a.iter().enumerate().take(a_high).skip(a_low) {
        let mut now = HashMap::new();
        for &j in index.get(line).into_iter().flatten().filter(|j| (b_low..b_high).contains(*j)) {
            let before = j.checked_sub(1).and_then(|j| lengths.get(&j)).copied().unwrap_or(0);
            now.insert(j, before + 1);
            if before + 1 > best.size {
                best = Match { a: i - before, b: j - before, size: before + 1 };
            }
        }
        lengths = now;
    }
    // Popular lines at the ends belong to it as well.
    while best.a > a_low && best.b > b_low && a[best.a - 1] == b[best.b - 1] {
        best = Match { a: best.a - 1, b: best.b - 1, size: best.size + 1 };
    }
    while best.a + best.size < a_high
        && best.b + best.size < b_high
        && a[best.a + best.size] == b[best.b + best.size]
    {
        best.size += 1;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_shown_with_three_lines_around_it() {
        let before: Vec<String> = (1..=20).map(|n| n.to_string()).collect();
        let mut after = before.clone();
        after[9] = "ten".to_owned();
        insta::assert_snapshot!(unified(&before.join("\n"), &after.join("\n")), @r"
        @@ -7,7 +7,7 @@
         7
         8
         9
        -10
        +ten
         11
         12
         13
        ");
        after.push("21".to_owned());
        insta::assert_snapshot!(unified(&before.join("\n"), &after.join("\n")), @r"
        @@ -7,7 +7,7 @@
         7
         8
         9
        -10
        +ten
         11
         12
         13
        @@ -18,3 +18,4 @@
         18
         19
         20
        +21
        ");
        assert_eq!(unified("a\nb", "a\nb"), "");
    }
}
