//! What the steps came to: one line each with its time, and the closing line that counts them.

use std::time::Duration;

/// How one step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It passed.
    Passed,
    /// It was left out, and why.
    Skipped(String),
    /// It failed, and why.
    Failed(String),
}

/// The steps so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    lines: Vec<(&'static str, Verdict, Duration)>,
}

impl Report {
    /// Notes a step's end and says so.
    pub(crate) fn add(&mut self, name: &'static str, verdict: Verdict, took: Duration) {
        println!("{}", line(name, &verdict, took));
        self.lines.push((name, verdict, took));
    }

    /// Nothing failed.
    pub(crate) fn is_good(&self) -> bool {
        !self.lines.iter().any(|(_, verdict, _)| matches!(verdict, Verdict::Failed(_)))
    }

    /// All steps with their times, then the closing line.
    pub(crate) fn close(&self) -> String {
        let mut text = String::from("\n");
        for (name, verdict, took) in &self.lines {
            // Here a line each; the whole of a failure stands above.
            text.extend(line(name, verdict, *took).lines().next());
            text.push('\n');
        }
        let count = |wanted: fn(&Verdict) -> bool| self.lines.iter().filter(|(_, v, _)| wanted(v)).count();
        let skipped = count(|v| matches!(v, Verdict::Skipped(_)));
        text.push_str(&format!(
            "{} passed, {} failed",
            count(|v| *v == Verdict::Passed),
            count(|v| matches!(v, Verdict::Failed(_)))
        ));
        if skipped > 0 {
            text.push_str(&format!(", {skipped} skipped"));
        }
        text
    }
}

fn line(name: &str, verdict: &Verdict, took: Duration) -> String {
    let seconds = took.as_secs_f64();
    match verdict {
        Verdict::Passed => format!("✓ {name:14} {seconds:7.1} s"),
        Verdict::Skipped(why) => format!("– {name:14} left out: {why}"),
        Verdict::Failed(why) => format!("✗ {name:14} {seconds:7.1} s  {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_counts_every_step() {
        let mut report = Report::default();
        report.add("a", Verdict::Passed, Duration::ZERO);
        report.add("b", Verdict::Skipped("no pages".into()), Duration::ZERO);
        assert!(report.is_good());
        report.add("c", Verdict::Failed("exit 1".into()), Duration::ZERO);
        assert!(!report.is_good());
        assert_eq!(report.close().lines().last(), Some("1 passed, 1 failed, 1 skipped"));
    }
}
