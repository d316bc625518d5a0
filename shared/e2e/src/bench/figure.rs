//! Figures with their bounds, and the file of samples that they come from.

use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::stats::{Median, median};

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    pub name: String,
    pub value: f64,
    /// Interval of the median, if there was more than one sample.
    pub interval: Option<(f64, f64)>,
    pub bound: Bound,
}

/// What a figure must be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// Shown only: the noise, or what another figure is made of.
    Shown,
}

impl Figure {
    /// Of one value.
    pub fn single(name: &str, value: f64, bound: Bound) -> Self {
        Self {
            name: name.to_owned(),
            value,
            interval: None,
            bound,
        }
    }

    /// The median of several.
    pub fn of(name: &str, values: &[f64], bound: Bound) -> Self {
        let Median { value, low, high } = median(values);
        Self {
            interval: (values.len() > 1).then_some((low, high)),
            ..Self::single(name, value, bound)
        }
    }

    /// Whether it is within its bound; `None` if it has none.
    pub fn is_met(&self) -> Option<bool> {
        match self.bound {
            Bound::AtMost(most) => Some(self.value <= most),
            Bound::AtLeast(least) => Some(self.value >= least),
            Bound::Shown => None,
        }
    }

    /// The interval, as it is shown.
    pub fn shown_interval(&self) -> String {
        self.interval
            .map_or_else(String::new, |(low, high)| format!("{} – {}", number(low), number(high)))
    }

    /// `ok`, `MISS`, or nothing.
    pub fn verdict(&self) -> &'static str {
        match self.is_met() {
            Some(true) => "ok",
            Some(false) => "MISS",
            None => "",
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "≤ {}", number(*most)),
            Self::AtLeast(least) => write!(f, "≥ {}", number(*least)),
            Self::Shown => Ok(()),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let interval = self.interval.map(|_| format!(" ({})", self.shown_interval()));
        let interval = interval.unwrap_or_default();
        write!(
            f,
            "{}: {}{interval} {} {}",
            self.name,
            number(self.value),
            self.bound,
            self.verdict()
        )
    }
}

/// Two decimals for small numbers, none for large ones.
pub(super) fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.0}")
    }
}

/// What is measured goes to the terminal and to a file, one line of JSON each.
pub struct Book {
    file: File,
}

impl Book {
    /// A new file; or `more` of the one that is there.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn open(path: &Path, machine: &str, quick: bool, more: bool) -> anyhow::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut options = File::options();
        let options = options.create(true).write(true).append(more).truncate(!more);
        let file = options
            .open(path)
            .with_context(|| format!("{} cannot be written", path.display()))?;
        let mut book = Self { file };
        println!("bench: {machine}{}", if quick { "; the short form" } else { "" });
        let time = jiff::Timestamp::now().round(jiff::Unit::Second)?.to_string();
        book.line(&json!({ "kind": "machine", "machine": machine, "quick": quick, "time": time }))?;
        Ok(book)
    }

    /// One raw sample.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn sample(&mut self, figure: &str, subject: &str, values: Value) -> anyhow::Result<()> {
        println!("bench:   {figure}, {subject}: {values}");
        self.line(&json!({ "kind": "sample", "figure": figure, "subject": subject, "values": values }))
    }

    /// One figure.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn figure(&mut self, figure: &Figure) -> anyhow::Result<()> {
        println!("bench: {figure}");
        self.line(&json!({ "kind": "figure", "figure": figure }))
    }

    fn line(&mut self, value: &Value) -> anyhow::Result<()> {
        Ok(writeln!(self.file, "{value}")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_outside_its_bound_is_a_miss() {
        let ratio = |value| Figure::single("cpu over the floor", value, Bound::AtMost(1.25));
        assert_eq!(ratio(1.25).to_string(), "cpu over the floor: 1.25 ≤ 1.25 ok");
        assert_eq!(ratio(1.26).to_string(), "cpu over the floor: 1.26 ≤ 1.25 MISS");
        let rate = Figure::of("rate", &[0.7, 0.9, 0.8], Bound::AtLeast(0.8));
        assert_eq!(rate.to_string(), "rate: 0.80 (0.70 – 0.90) ≥ 0.80 ok");
        let noise = Figure::single("noise", 1234.5, Bound::Shown);
        assert_eq!((noise.verdict(), number(noise.value)), ("", "1234".to_owned()));
    }
}
