//! What stands in another order in every run of a real cluster: names end in random letters, and lists are ordered by
//! name; the environment of a process is a hash map's; components are asked at once.

/// What a command printed, already made alike, in an order that does not hang on chance.
pub fn settle(command: &str, text: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let watches = command.contains(" -w") || command.contains("--watch");
    if command.contains("rollout status") {
        // How often a state is seen while it lasts is chance.
        lines.dedup();
    } else if command.ends_with("-- env") || command.contains("get componentstatuses") {
        lines.sort();
    } else if !watches && (command.contains("kubectl get events") || command.starts_with("kubectl events")) {
        // Sorted by whole seconds at most, then by name.
        lines.sort();
    } else if command.starts_with("kubectl describe") {
        lines = objects_sorted(&lines);
    } else if !watches
        && ["kubectl get", "kubectl delete", "for i in"].iter().any(|verb| command.starts_with(verb))
    {
        sort_runs(&mut lines);
    }
    lines.join("\n")
}

fn is_random(line: &str) -> bool {
    line.contains("-RAND") || line.contains("-HASH")
}

/// Sorts neighbouring lines that are about objects with random names.
fn sort_runs(lines: &mut [String]) {
    for run in lines.chunk_by_mut(|a, b| is_random(a) == is_random(b)) {
        if is_random(&run[0]) {
            run.sort();
        }
    }
}

/// Sorts the objects of a description if their names are random.
fn objects_sorted(lines: &[String]) -> Vec<String> {
    let begins = |line: &String| line.starts_with("Name: ");
    let mut objects: Vec<&[String]> = lines.chunk_by(|_, next| !begins(next)).collect();
    if objects.iter().all(|object| is_random(&object[0])) {
        objects.sort();
    }
    objects.concat()
}

#[test]
fn only_rows_with_random_names_are_sorted() {
    let table = "NAME\nb-RAND 1\na-RAND 2\nzoe\nanna";
    assert_eq!(settle("kubectl get pods", table), "NAME\na-RAND 2\nb-RAND 1\nzoe\nanna");
    assert_eq!(settle("kubectl get pods -w", table), table);
    let described = "Name: x-RAND\nb\nName: w-RAND\na";
    assert_eq!(settle("kubectl describe pods", described), "Name: w-RAND\na\nName: x-RAND\nb");
}
