//! What the doctor finds, one line each, with what to do about it.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};
use kafka::topics::Report;
use runtime::stdout;
use serde_json::{Value, json};

use crate::cli::output::Output;

/// A clock that differs by more is unusual, or wrong: tokens expire by it, and changes are sent by their age.
const CLOCK_UNUSUAL: SignedDuration = SignedDuration::from_secs(5);
const CLOCK_WRONG: SignedDuration = SignedDuration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    Unusual,
    Wrong,
}

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    about: &'static str,
    verdict: Verdict,
    text: String,
    fix: Cow<'static, str>,
}

impl Finding {
    fn new(about: &'static str, verdict: Verdict, text: impl Into<String>) -> Self {
        Self {
            about,
            verdict,
            text: text.into(),
            fix: Cow::default(),
        }
    }

    pub(super) fn ok(about: &'static str, text: impl Into<String>) -> Self {
        Self::new(about, Verdict::Ok, text)
    }

    pub(super) fn unusual(about: &'static str, text: impl Into<String>) -> Self {
        Self::new(about, Verdict::Unusual, text)
    }

    pub(super) fn wrong(about: &'static str, text: impl Into<String>) -> Self {
        Self::new(about, Verdict::Wrong, text)
    }

    /// What to do about it.
    pub(super) fn fix(self, fix: impl Into<Cow<'static, str>>) -> Self {
        Self {
            fix: fix.into(),
            ..self
        }
    }

    pub(super) fn is_wrong(&self) -> bool {
        self.verdict == Verdict::Wrong
    }

    fn word(&self) -> &'static str {
        match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Unusual => "warn",
            Verdict::Wrong => "FAIL",
        }
    }

    fn lines(&self) -> String {
        let line = format!("{:4}  {:13}  {}\n", self.word(), self.about, self.text);
        if self.fix.is_empty() {
            line
        } else {
            format!("{line}{:21}fix: {}\n", "", self.fix)
        }
    }

    fn json(&self) -> Value {
        json!({"verdict": self.word(), "about": self.about, "text": self.text, "fix": self.fix})
    }
}

pub(super) fn print(output: Output, findings: &[Finding]) {
    match output {
        Output::Json => stdout::line(Value::Array(findings.iter().map(Finding::json).collect())),
        Output::Text => findings.iter().for_each(|finding| stdout::text(finding.lines())),
    }
}

/// What there is to say of a topic: that it is good, or everything that is not.
pub(super) fn topic(report: &Report) -> Vec<Finding> {
    let topic = &report.topic;
    let fix = match report.partitions {
        None => match topic.rsplit_once("audience-membership.") {
            Some((_, account)) => format!("`export-svc topics ensure --account {account}` creates it"),
            None => "`export-svc topics ensure` creates it".to_owned(),
        },
        Some(_) => {
            format!("`kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config NAME=VALUE`")
        }
    };
    let wrong = report.wrong.iter().map(|text| Finding::wrong("topic", text));
    let unusual = report.unusual.iter().map(|text| Finding::unusual("topic", text));
    let found: Vec<Finding> = wrong.chain(unusual).map(|finding| finding.fix(fix.clone())).collect();
    if found.is_empty() {
        let partitions = report.partitions.unwrap_or_default();
        return vec![Finding::ok("topic", format!("{topic}, {partitions} partitions"))];
    }
    found
}

/// How our clock differs from Braze's, which was asked at `begun` and had answered at `ended`.
pub(super) fn clock(begun: Timestamp, ended: Timestamp, told: Result<Timestamp, String>) -> Finding {
    let theirs = match told {
        Ok(theirs) => theirs,
        Err(problem) => return Finding::unusual("clock", format!("not compared: {problem}")),
    };
    // The header has whole seconds, and was written at some time in between.
    let earliest = begun.duration_since(theirs) - SignedDuration::from_secs(1);
    let latest = ended.duration_since(theirs);
    let off = if earliest.is_positive() {
        earliest
    } else if latest.is_negative() {
        latest.abs()
    } else {
        SignedDuration::ZERO
    };
    let text = format!("{} s from Braze's", off.as_secs());
    let fix = "let this machine's clock be set by NTP, such as chrony";
    if off > CLOCK_WRONG {
        Finding::wrong("clock", text).fix(fix)
    } else if off > CLOCK_UNUSUAL {
        Finding::unusual("clock", text).fix(fix)
    } else {
        Finding::ok("clock", text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_clock_is_judged_by_how_far_it_surely_is_off() {
        let verdict = |begun, ended, theirs| clock(at(begun), at(ended), Ok(at(theirs))).verdict;
        assert_eq!(verdict(0, 0, 0), Verdict::Ok);
        assert_eq!(verdict(0, 8, 0), Verdict::Ok, "a slow answer says nothing of the clock");
        assert_eq!(verdict(5, 5, 0), Verdict::Ok);
        assert_eq!(verdict(7, 7, 0), Verdict::Unusual);
        assert_eq!(verdict(0, 0, 7), Verdict::Unusual);
        assert_eq!(verdict(62, 62, 0), Verdict::Wrong);
        assert_eq!(verdict(0, 0, 61), Verdict::Wrong);
        let unknown = clock(at(0), at(0), Err("no answer".to_owned()));
        assert_eq!(
            (unknown.verdict, unknown.text.as_str()),
            (Verdict::Unusual, "not compared: no answer")
        );
    }

    #[test]
    fn a_topic_is_told_with_the_fix_or_as_good() {
        let report = |partitions, wrong: &[&str], unusual: &[&str]| Report {
            topic: "lytics.audience-membership.7".to_owned(),
            partitions,
            wrong: wrong.iter().map(|text| (*text).to_owned()).collect(),
            unusual: unusual.iter().map(|text| (*text).to_owned()).collect(),
        };
        let good = topic(&report(Some(4), &[], &[]));
        assert_eq!(
            good[0].lines(),
            "ok    topic          lytics.audience-membership.7, 4 partitions\n"
        );
        let missing = topic(&report(None, &["it does not exist"], &[]));
        let expected = "FAIL  topic          it does not exist\n                     fix: `export-svc topics ensure --account 7` creates it\n";
        assert_eq!(missing[0].lines(), expected);
        let odd = topic(&report(Some(4), &["a"], &["b"]));
        assert_eq!(odd.iter().map(Finding::word).collect::<Vec<_>>(), ["FAIL", "warn"]);
        assert!(odd[1].fix.contains("kafka-configs.sh"));
    }
}
