//! What was measured, and what the issue of these figures asked for.

use crate::bench::Line;

/// At least so many times better than that peer.
struct Goal {
    name: &'static str,
    against: &'static str,
    runtime: &'static str,
    ratio: f64,
}

const fn goal(name: &'static str, against: &'static str, runtime: &'static str, ratio: f64) -> Goal {
    Goal { name, against, runtime, ratio }
}

/// What there is to reach. A request that may cost 1.25 times its peer's is 0.8 times better.
const GOALS: [Goal; 16] = [
    goal("verify.cold.w6", "webcrypto", "workerd", 3.0),
    goal("verify.cold.w8", "webcrypto", "workerd", 4.0),
    goal("verify.cold.w6", "dalek", "workerd", 6.0),
    goal("verify.cold.w8", "dalek", "workerd", 8.0),
    goal("verify.cold.w6", "jose", "workerd", 4.5),
    goal("verify.cold.w8", "jose", "workerd", 4.5),
    goal("verify.cold.w6", "dalek", "native", 1.0 / 0.35),
    goal("verify.cold.w8", "dalek", "native", 1.0 / 0.30),
    goal("verify.warm", "map-get", "workerd", 1.0 / 2.0),
    goal("verify.warm", "verify.cold.w6", "workerd", 30.0),
    goal("reject.malformed", "map-get", "workerd", 5.0),
    goal("reject.checksum", "map-get", "workerd", 1.0 / 1.3),
    goal("cold-start.first-request", "dalek", "workerd", 1.0),
    goal("cold-start.longest-step", "2 ms", "workerd", 1.0),
    goal("edge.known-key", PASS_THROUGH, "workerd", 1.0 / 1.25),
    goal("edge.new-key", PASS_THROUGH, "workerd", 1.0 / 1.5),
];

/// The peer of whole requests.
pub(super) const PASS_THROUGH: &str = "a worker that passes through";

/// A figure that was measured.
struct Figure {
    name: String,
    against: String,
    runtime: &'static str,
    ratio: f64,
}

/// All figures of a run.
#[derive(Default)]
pub(super) struct Figures(Vec<Figure>);

impl Figures {
    /// Prints a figure whose value is better when it is less, and keeps it for the summary.
    pub(super) fn less(&mut self, (name, value): (&str, f64), (against, peer): (&str, f64), unit: &str, runtime: &'static str) {
        let ratio = peer / value;
        Line { name, against, ratio, value, peer, unit, runtime }.print();
        self.0.push(Figure { name: name.to_owned(), against: against.to_owned(), runtime, ratio });
    }

    /// Says for people which goals were reached, and which were not measured.
    pub(super) fn summary(&self) {
        eprintln!("\n{:28} {:30} {:8} {:>7} {:>7}", "figure", "against", "runtime", "ratio", "goal");
        for Goal { name, against, runtime, ratio: goal } in &GOALS {
            let figure = self.0.iter().find(|figure| figure.name == *name && figure.against == *against && figure.runtime == *runtime);
            let (ratio, met) = match figure {
                None => ("-".to_owned(), "not measured"),
                Some(figure) => (format!("{:.2}", figure.ratio), if figure.ratio >= *goal { "met" } else { "MISSED" }),
            };
            eprintln!("{name:28} {against:30} {runtime:8} {ratio:>7} {goal:>7.2}  {met}");
        }
    }
}
