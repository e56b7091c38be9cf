//! The native contenders: does one slot for each line `NAME COUNT` that it reads, and answers `done`.

use std::{
    hint::black_box,
    io::{self, BufRead, Write},
};

use keyward_bench::{Bare, Message, Samples};

type Verifies<'a> = Box<dyn Fn(&(Message, [u8; 64])) -> bool + 'a>;

fn main() -> io::Result<()> {
    let samples = Samples::at(0);
    let bare = Bare::new(&samples.public);
    let mut contenders: Vec<(&str, Verifies)> = vec![
        ("nothing", Box::new(|_| true)),
        ("verify.cold.w6", Box::new(|sample| bare.w6(sample))),
        ("verify.cold.w8", Box::new(|sample| bare.w8(sample))),
        ("dalek", Box::new(|sample| bare.dalek(sample))),
    ];
    contenders.extend(peers(&samples.public));
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (name, count) = line.split_once(' ').ok_or_else(|| io::Error::other("NAME COUNT"))?;
        let contender = contenders.iter().find(|contender| contender.0 == name).ok_or_else(|| io::Error::other("no such contender"))?;
        let count = count.parse().map_err(io::Error::other)?;
        for sample in samples.signed.iter().cycle().take(count) {
            if !black_box(contender.1(black_box(sample))) {
                return Err(io::Error::other(format!("{name} refused a sound signature")));
            }
        }
        let mut out = io::stdout().lock();
        writeln!(out, "done")?;
        out.flush()?;
    }
    Ok(())
}

#[cfg(feature = "peers")]
fn peers(public: &[u8; 32]) -> [(&'static str, Verifies<'static>); 2] {
    let ring = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, *public);
    let aws = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, *public);
    [
        ("ring", Box::new(move |(message, signature)| ring.verify(message, signature).is_ok())),
        ("aws-lc-rs", Box::new(move |(message, signature)| aws.verify(message, signature).is_ok())),
    ]
}

#[cfg(not(feature = "peers"))]
fn peers(_: &[u8; 32]) -> [(&'static str, Verifies<'static>); 0] {
    []
}
