//! The escrow of limits: single promises, and a simulation of an authority and two layers of holders in which messages are
//! lost, late and doubled, holders crash, clocks are off, and limits change.

mod campaigns;
mod promises;
mod random;
mod simulation;
mod slots;
