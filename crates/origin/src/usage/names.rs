//! How many different names are kept apart: endpoints and addresses are the clients' to invent.

use std::collections::{HashMap, HashSet};

use keyward_api::usage::OTHER;
use sqlx::types::Uuid;

/// A key (or, as all zeros, a whole tenant) and a day: tenant, key, days since 1970.
pub type Subject = (Uuid, Uuid, u32);

/// The names known of each subject. Those that come first are kept, and all beyond the bound are one.
pub struct Names {
    known: HashMap<Subject, HashSet<String>>,
    of_a_key: usize,
    of_a_tenant: usize,
}

impl Names {
    /// With these known, at most so many of a key and of a tenant.
    pub fn new(known: HashMap<Subject, HashSet<String>>, of_a_key: usize, of_a_tenant: usize) -> Self {
        Self { known, of_a_key, of_a_tenant }
    }

    /// The name under which it is counted.
    pub fn admit<'a>(&mut self, subject: Subject, name: &'a str) -> &'a str {
        let most = if subject.1.is_nil() { self.of_a_tenant } else { self.of_a_key };
        let known = self.known.entry(subject).or_default();
        if known.contains(name) {
            return name;
        }
        if name == OTHER || known.len() >= most {
            return OTHER;
        }
        known.insert(name.to_owned());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_names_stay_apart_for_a_day_and_the_others_are_one() {
        let (tenant, key) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let known = HashMap::from([((tenant, key, 1), HashSet::from(["/a".to_owned()]))]);
        let mut names = Names::new(known, 2, 3);
        let admitted = ["/b", "/c", "/a", "/b", OTHER].map(|name| names.admit((tenant, key, 1), name));
        assert_eq!(admitted, ["/b", OTHER, "/a", "/b", OTHER]);
        assert_eq!(names.admit((tenant, key, 2), "/c"), "/c");
        let whole = ["/1", "/2", "/3", "/4"].map(|name| names.admit((tenant, Uuid::nil(), 1), name));
        assert_eq!(whole, ["/1", "/2", "/3", OTHER]);
    }
}
