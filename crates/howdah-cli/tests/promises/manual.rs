//! Completions and man pages, of every command that there is.

use crate::support::{end_of, program};

/// What the program lists as the commands below another one, from its own help.
async fn below(path: &[String]) -> Vec<String> {
    let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
    arguments.push("--help");
    let said = end_of(program(&arguments), "").await;
    assert_eq!(said.code, 0, "{said:?}");
    let listed = said.out.split_once("Commands:\n").map(|(_, rest)| rest.split("\n\n").next().unwrap_or_default());
    let names = listed.unwrap_or_default().lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|n| *n != "help").map(str::to_owned).collect()
}

/// Every command, by its words.
async fn commands() -> Vec<Vec<String>> {
    let (mut all, mut next) = (Vec::new(), vec![Vec::new()]);
    while let Some(path) = next.pop() {
        for name in below(&path).await {
            let path = [path.clone(), vec![name]].concat();
            all.push(path.clone());
            next.push(path);
        }
    }
    assert!(all.len() > 50 && all.contains(&vec!["queues".to_owned(), "pause".to_owned()]), "{all:?}");
    all
}

#[tokio::test]
async fn completions_and_man_pages_name_every_command() {
    let commands = commands().await;
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("man/man1");
    let said = end_of(program(&["man", dir.to_str().unwrap()]), "").await;
    assert_eq!(said.code, 0, "{said:?}");
    for command in &commands {
        let page = dir.join(format!("howdah-{}.1", command.join("-")));
        let page = std::fs::read_to_string(&page).unwrap_or_else(|e| panic!("{}: {e}", page.display()));
        assert!(page.contains(".SH SYNOPSIS"), "{command:?}: {page}");
    }
    let page = end_of(program(&["man"]), "").await.out;
    assert!(page.contains(".SH SUBCOMMANDS") && page.contains("howdah\\-workflows(1)"), "{page}");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let said = end_of(program(&["completions", shell]), "").await;
        assert_eq!(said.code, 0, "{said:?}");
        for command in &commands {
            assert!(said.out.contains(command.last().unwrap().as_str()), "{shell} does not know {command:?}");
        }
    }
    let said = end_of(program(&["completions", "tcsh"]), "").await;
    assert!(said.code == 2 && said.err.contains("bash"), "{said:?}");
}

#[tokio::test]
async fn the_script_for_bash_is_one_that_bash_takes() {
    let script = end_of(program(&["completions", "bash"]), "").await.out;
    let ask = "\nCOMP_WORDS=(howdah queues pau); COMP_CWORD=2; _howdah howdah pau queues; echo \"${COMPREPLY[@]}\"\n";
    let mut bash = tokio::process::Command::new("bash");
    bash.args(["--norc", "-s"]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    bash.stderr(std::process::Stdio::piped());
    let said = end_of(bash, &[script.as_str(), ask].concat()).await;
    assert_eq!((said.code, said.out.trim()), (0, "pause"), "{said:?}");
}

#[tokio::test]
async fn a_mistyped_command_is_told_what_was_meant() {
    for (typed, meant) in
        [(&["queue", "ls"][..], "'queues'"), (&["jobs", "shwo", "1"], "'show'"), (&["wokflows"], "'workflows'")]
    {
        let said = end_of(program(typed), "").await;
        assert!(said.code == 2 && said.err.contains(meant), "{typed:?}: {said:?}");
    }
}
