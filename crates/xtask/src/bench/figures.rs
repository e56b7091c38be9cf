//! What was measured, and what there was to reach.

use super::Line;

/// At least so many times better than that peer.
pub(super) struct Goal {
    name: &'static str,
    against: &'static str,
    runtime: &'static str,
    ratio: f64,
}

pub(super) const fn goal(name: &'static str, against: &'static str, runtime: &'static str, ratio: f64) -> Goal {
    Goal { name, against, runtime, ratio }
}

/// A figure that was measured.
struct Figure {
    name: String,
    against: String,
    runtime: &'static str,
    ratio: f64,
}

/// All figures of a run.
pub(super) struct Figures {
    goals: &'static [Goal],
    all: Vec<Figure>,
}

impl Figures {
    /// None yet, with what there is to reach.
    pub(super) const fn new(goals: &'static [Goal]) -> Self {
        Self { goals, all: Vec::new() }
    }

    /// Prints a figure whose value is better when it is less, and keeps it for the summary.
    pub(super) fn less(&mut self, ours: (&str, f64), theirs: (&str, f64), unit: &str, runtime: &'static str) {
        self.add(theirs.1 / ours.1, ours, theirs, unit, runtime);
    }

    /// The same for one whose value is better when it is more.
    pub(super) fn more(&mut self, ours: (&str, f64), theirs: (&str, f64), unit: &str, runtime: &'static str) {
        self.add(ours.1 / theirs.1, ours, theirs, unit, runtime);
    }

    fn add(&mut self, ratio: f64, (name, value): (&str, f64), (against, peer): (&str, f64), unit: &str, runtime: &'static str) {
        Line { name, against, ratio, value, peer, unit, runtime }.print();
        self.all.push(Figure { name: name.to_owned(), against: against.to_owned(), runtime, ratio });
    }

    /// Says for people which goals were reached, and which were not measured.
    pub(super) fn summary(&self) {
        eprintln!("\n{:28} {:30} {:8} {:>7} {:>7}", "figure", "against", "runtime", "ratio", "goal");
        for Goal { name, against, runtime, ratio: goal } in self.goals {
            let figure = self.all.iter().find(|figure| figure.name == *name && figure.against == *against && figure.runtime == *runtime);
            let (ratio, met) = match figure {
                None => ("-".to_owned(), "not measured"),
                Some(figure) => (format!("{:.2}", figure.ratio), if figure.ratio >= *goal { "met" } else { "MISSED" }),
            };
            eprintln!("{name:28} {against:30} {runtime:8} {ratio:>7} {goal:>7.2}  {met}");
        }
    }
}
