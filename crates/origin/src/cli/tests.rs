//! The help and the documentation, held against the command.

use std::path::Path;

use clap::CommandFactory;

use super::*;

fn page(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)).expect(name)
}

/// The words of a line for a shell, up to a comment, a pipe or a redirection.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (None, '#' | '|' | '>' | '<') if word.is_none() => break,
            (None, ' ') => words.extend(word.take()),
            (None, '\'' | '"') => (quote, word) = (Some(c), Some(word.unwrap_or_default())),
            (Some(open), _) if open == c => quote = None,
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[test]
fn every_example_in_the_help_and_the_documentation_is_a_command_that_there_is() {
    let pages = [
        "README.md",
        "docs/cli.md",
        "docs/api.md",
        "docs/operating.md",
        "docs/signing-keys.md",
        "docs/usage.md",
        "docs/recent-decisions.md",
    ];
    let mut texts: Vec<String> = pages.iter().map(|name| page(name)).collect();
    texts.extend(Cli::command().get_subcommands_mut().map(|group| group.render_long_help().to_string()));
    let lines = texts.iter().flat_map(|text| text.lines()).map(str::trim);
    let examples: Vec<&str> = lines.filter(|line| line.starts_with("keyward ") && !line.starts_with("keyward ready")).collect();
    assert!(examples.len() > 50, "{examples:?}");
    for example in examples {
        let stand_in = |word: String| match word.as_str() {
            "0197…" => "0197f3a0-0000-7000-8000-000000000000".to_owned(),
            "KID" | "$KID" => "A".repeat(43),
            _ => word,
        };
        if let Err(error) = Cli::try_parse_from(words(example).into_iter().map(stand_in)) {
            panic!("{example}\n{error}");
        }
    }
}

/// One key in 64 begins so, as base64url has it.
#[test]
fn a_key_that_begins_with_a_hyphen_is_a_value_and_no_option() {
    let key = format!("-J{}", "A".repeat(41));
    for words in [
        &["audit", "verify", "-", "--root", &key][..],
        &["root", "sign", "--key", "root.key", "--pinned", &key, "proposal.json"],
        &["signing", "freeze", &key, "--yes"],
        &["signing", "activate", &key],
        &["root", "adopt", &key],
        &["keys", "list", "--signing-key", &key],
        &["keys", "bulk", "revoke", "--signing-key", &key],
        &["signing", "create", "root", "--public-key", &key],
    ] {
        if let Err(error) = Cli::try_parse_from(["keyward"].iter().chain(words)) {
            panic!("{words:?}\n{error}");
        }
    }
}

#[test]
fn the_page_about_the_command_names_all_that_there_is() {
    let page = page("docs/cli.md");
    Cli::command().debug_assert();
    for group in Cli::command().get_subcommands() {
        let start = format!("| `keyward {}` |", group.get_name());
        let row = page.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("no row {start}"));
        for action in group.get_subcommands() {
            let inner: Vec<String> =
                action.get_subcommands().map(|inner| format!("`{} {}`", action.get_name(), inner.get_name())).collect();
            let own = (inner.is_empty() || action.is_args_conflicts_with_subcommands_set()).then(|| format!("`{}`", action.get_name()));
            for words in own.into_iter().chain(inner) {
                assert!(row.contains(&words), "{start} lacks {words}");
            }
        }
    }
}

#[test]
fn what_production_starts_is_a_command_that_reads_what_is_set_for_it() {
    let command = Cli::command();
    let serve = command.find_subcommand("serve").unwrap();
    let read: Vec<&str> = serve.get_arguments().filter_map(|argument| argument.get_env()?.to_str()).collect();
    let (container, service) = (page("deploy/Containerfile"), page("deploy/keyward.service"));
    let setting = |word: &str| word.trim_start_matches("Environment=").split_once('=').map(|(name, _)| name.to_owned());
    let set: Vec<String> = container.split_whitespace().chain(service.split_whitespace()).filter_map(setting).collect();
    let set: Vec<&String> = set.iter().filter(|name| name.starts_with("KEYWARD_")).collect();
    assert!(set.len() >= 5 && set.iter().all(|name| read.contains(&name.as_str())), "{set:?} {read:?}");

    let started: Vec<&str> = container.lines().filter_map(|line| line.strip_prefix("ENTRYPOINT ").or(line.strip_prefix("CMD "))).collect();
    assert_eq!(started, [r#"["keyward"]"#, r#"["serve"]"#]);
    assert!(service.contains("/keyward serve\n"));
    // What is built is what is copied, and there is a place in the source for whatever else is.
    let built = format!("RUN cargo build --release --locked -p {} --bin {}\n", env!("CARGO_PKG_NAME"), command.get_name());
    assert!(container.contains(&built), "{built}");
    assert!(container.contains(&format!("COPY --from=build /source/target/release/{0} /usr/local/bin/{0}\n", command.get_name())));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for copied in container.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|copied| !copied.starts_with("--from")) {
        let from = copied.split(' ').next().unwrap();
        // The pages are built before, into a folder that isn't kept.
        assert!(from == "www/dist" && root.join("www/vite.config.ts").exists() || root.join(from).exists(), "{copied}");
    }
}
