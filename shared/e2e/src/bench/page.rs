//! The table of `docs/performance.md`, out of the samples.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use super::Bench;
use super::figure::{Figure, number};

const END: &str = "<!-- end of figures -->";

/// Replaces the bench's table, between its two marks.
///
/// # Errors
/// When nothing was measured, or the page has no such marks.
pub(super) fn write(Bench(service): Bench, samples: &Path, page: &Path) -> anyhow::Result<()> {
    let begin = format!("<!-- figures: written by bench_{service} --page -->");
    let lines = fs::read_to_string(samples).with_context(|| format!("nothing was measured: make bench-{service}"))?;
    let text = fs::read_to_string(page)?;
    let (before, rest) = text
        .split_once(&begin)
        .context("the page has no mark for the figures")?;
    let (_, after) = rest
        .split_once(END)
        .context("the page has no mark for the end of the figures")?;
    let table = table(&lines)?;
    fs::write(page, format!("{before}{begin}\n\n{table}\n{END}{after}"))?;
    Ok(())
}

fn table(lines: &str) -> anyhow::Result<String> {
    let (mut out, mut figures) = (String::new(), Vec::<Figure>::new());
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line)?;
        match line["kind"].as_str() {
            Some("machine") => {
                let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
                let short = if line["quick"] == true { ", the short form" } else { "" };
                out.clear();
                writeln!(out, "Measured {} on {}{short}.\n", text("time"), text("machine"))?;
            }
            Some("figure") => {
                let figure: Figure = serde_json::from_value(line["figure"].clone())?;
                // Measured again: the last time counts.
                match figures.iter_mut().find(|known| known.name == figure.name) {
                    Some(known) => *known = figure,
                    None => figures.push(figure),
                }
            }
            _ => {}
        }
    }
    writeln!(out, "| figure | median | interval | bound | |\n|---|---|---|---|---|")?;
    for figure in figures {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            figure.name,
            number(figure.value),
            figure.shown_interval(),
            figure.bound,
            figure.verdict()
        )?;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_for_each_figure_and_none_for_samples() {
        let lines = [
            r#"{"kind":"machine","machine":"2 × a processor","quick":false,"time":"2026-01-01T00:00:00Z"}"#,
            r#"{"kind":"sample","figure":"f","subject":"floor","values":{}}"#,
            r#"{"kind":"figure","figure":{"name":"f","value":9.9,"interval":null,"bound":{"at_most":1.25}}}"#,
            r#"{"kind":"figure","figure":{"name":"f","value":1.3,"interval":[1.2,1.4],"bound":{"at_most":1.25}}}"#,
            r#"{"kind":"figure","figure":{"name":"noise","value":1.0,"interval":null,"bound":"shown"}}"#,
        ];
        let table = table(&lines.join("\n")).unwrap();
        assert_eq!(
            table,
            "Measured 2026-01-01T00:00:00Z on 2 × a processor.\n\n\
             | figure | median | interval | bound | |\n|---|---|---|---|---|\n\
             | f | 1.30 | 1.20 – 1.40 | ≤ 1.25 | MISS |\n| noise | 1.00 |  |  |  |\n"
        );
    }
}
