//! Whether the help of a command line teaches: what every command must tell, and that what it tells can be run.

use clap::Command;

/// What the help of a command, and of those below it, lacks: a line that says what it does, a paragraph on when to use it, an
/// example, and words on each argument. What is hidden needs none.
pub fn lacks(root: &Command) -> Vec<String> {
    let mut lacks = Vec::new();
    visit(root, &[], &mut |path, command| {
        let text = |text: Option<&clap::builder::StyledStr>| text.map(ToString::to_string).unwrap_or_default();
        let (about, long) = (text(command.get_about()), text(command.get_long_about()));
        let mut lack = |what: &str| lacks.push(format!("`{}` has {what}", path.join(" ")));
        if about.is_empty() || about.contains('\n') {
            lack("no line that says what it does");
        }
        if long.len() <= about.len() {
            lack("no paragraph on when to use it");
        }
        if examples(root, command).is_empty() {
            lack("no example");
        }
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            if argument.get_help().is_none() {
                lack(&format!("no words on its argument {}", argument.get_id()));
            }
        }
    });
    lacks
}

/// Columns of a terminal: in a longer line a break is put, and what is copied is two commands.
const COLUMNS: usize = 80;

/// Examples that the parser does not take, that are none of the command that shows them, or that are too long for a line.
pub fn bad_examples(root: &Command) -> Vec<String> {
    let mut bad = Vec::new();
    visit(root, &[], &mut |path, command| {
        let shown = command
            .get_after_long_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let indented = shown.lines().filter(|line| line.starts_with("  "));
        for line in indented.filter(|line| line.chars().count() > COLUMNS) {
            bad.push(format!("{line}\nis longer than {COLUMNS} columns"));
        }
        for example in examples(root, command) {
            let runs = runs(root, &example).into_iter();
            match runs
                .map(|words| root.clone().try_get_matches_from(words))
                .collect::<Result<Vec<_>, _>>()
            {
                Ok(runs) if runs.iter().any(|run| called(run).starts_with(&path[1..])) => {}
                Ok(_) => bad.push(format!("{example}\nis no example of `{}`", path.join(" "))),
                Err(error) => bad.push(format!("{example}\n{error}")),
            }
        }
    });
    bad
}

/// Calls `look` with each visible command and the words that name it.
fn visit(command: &Command, above: &[&str], look: &mut impl FnMut(&[&str], &Command)) {
    let path = [above, &[command.get_name()]].concat();
    look(&path, command);
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        visit(below, &path, look);
    }
}

/// The lines under a command's help that begin with the program's name, those that go on in the next one joined.
fn examples(root: &Command, command: &Command) -> Vec<String> {
    let shown = command.get_after_long_help().map(ToString::to_string);
    let joined = shown.unwrap_or_default().replace("\\\n", " ");
    let lines = joined.lines().filter_map(|line| line.strip_prefix("  "));
    lines
        .filter(|line| line.split(' ').next() == Some(root.get_name()))
        .map(str::to_owned)
        .collect()
}

/// The runs of the program that a line of a shell is made of, each as its words.
fn runs(root: &Command, line: &str) -> Vec<Vec<String>> {
    let words = words(line);
    let runs = words.split(|word| word == "|").map(|run| {
        let end = run.iter().position(|word| [">", "<", "#"].contains(&word.as_str()));
        run[..end.unwrap_or(run.len())].to_vec()
    });
    runs.filter(|run| run.first().is_some_and(|word| word == root.get_name()))
        .collect()
}

/// Split at spaces, but for those in quotes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut quote, mut begun) = (vec![String::new()], None, false);
    for character in line.chars() {
        match (character, quote) {
            ('\'' | '"', None) => (quote, begun) = (Some(character), true),
            (character, Some(open)) if character == open => quote = None,
            (' ', None) if begun => {
                words.push(String::new());
                begun = false;
            }
            (' ', None) => {}
            (character, _) => {
                begun = true;
                words.last_mut().expect("there is always one").push(character);
            }
        }
    }
    if !begun {
        words.pop();
    }
    words
}

/// The subcommands that were called.
fn called(matches: &clap::ArgMatches) -> Vec<&str> {
    match matches.subcommand() {
        Some((name, below)) => [vec![name], called(below)].concat(),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    fn command(after: &'static str) -> Command {
        let list = Command::new("list").about("List").long_about("List.\n\nNow and then.");
        let list = list.arg(Arg::new("state").long("state").help("Which"));
        Command::new("p")
            .about("Do")
            .long_about("Do.\n\nIn any case.")
            .after_long_help("Examples:\n  p list")
            .subcommand(list.after_long_help(after))
    }

    #[test]
    fn whatever_is_missing_is_told() {
        assert_eq!(lacks(&command("Examples:\n  p list")), [""; 0]);
        assert_eq!(lacks(&command("p list")), ["`p list` has no example"]);
        let bare = Command::new("p").subcommand(Command::new("q").hide(true));
        let bare = bare.arg(Arg::new("x")).arg(Arg::new("y").hide(true));
        assert_eq!(
            lacks(&bare),
            [
                "`p` has no line that says what it does",
                "`p` has no paragraph on when to use it",
                "`p` has no example",
                "`p` has no words on its argument x",
            ]
        );
    }

    #[test]
    fn an_example_must_be_taken_and_be_one_of_its_command() {
        for good in ["  p list --state 'a b' | less", "  p list \\\n    --state \"a b\" > x"] {
            assert_eq!(bad_examples(&command(good)), [""; 0], "{good}");
        }
        for bad in ["  p list --stat x", "  p list a b", "  p"] {
            assert_eq!(bad_examples(&command(bad)).len(), 1, "{bad}");
        }
        let long = format!("  p list --state {}", "x".repeat(COLUMNS));
        assert_eq!(bad_examples(&command(long.leak())).len(), 1, "it would be cut");
    }
}
