//! Many seeds, and what is told of one that fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};
use std::time::Duration;

use selkie_sim::{Faults, Kind, Sim, Wrong, between_runs, check, sometimes};

const SECOND: Duration = Duration::from_secs(1);

/// What a check panics with.
fn text_of(check: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(check)).unwrap_err();
    payload.downcast_ref::<String>().unwrap().clone()
}

/// Fails if the first host was killed, and the second one was paused.
fn fails_by_two_faults(sim: &mut Sim) {
    let hosts =
        [0, 1].map(|host| sim.host(format!("host{host}").as_str(), futures::future::pending::<()>));
    let kinds = [Kind::Killed, Kind::Paused, Kind::Refusing];
    sim.draw_faults(&Faults::new(&hosts, SECOND).kinds(&kinds).most(30));
    sim.run_for(2 * SECOND);
    let faults = sim.faults();
    let happened = |wrong| faults.iter().any(|(_, fault)| fault.wrong == wrong);
    let is_bad = happened(Wrong::Killed(hosts[0])) && happened(Wrong::Paused(hosts[1]));
    assert!(!is_bad, "it had to come to this");
}

#[test]
fn a_seed_that_fails_is_told_with_what_is_left_of_its_faults() {
    let text = text_of(|| check(0..100, fails_by_two_faults));
    // By which one of several is not said, but there are two left.
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("seed ") && lines[0].contains(" fails: it had to come to this"));
    assert!(lines[1].starts_with("with 2 of its "), "{text}");
    assert!(lines[2].contains("is killed, for") || lines[3].contains("is killed, for"), "{text}");
    assert!(lines[4].starts_with("repeat it: SELKIE_SEED="), "{text}");
    let name = "checking::a_seed_that_fails_is_told_with_what_is_left_of_its_faults";
    let release = if cfg!(debug_assertions) { "" } else { " --release" };
    assert!(lines[4].contains(&format!(" cargo test{release} -p selkie-sim {name}")), "{text}");
    assert_eq!(lines.len(), 5, "{text}");
}

#[test]
fn a_mark_that_no_seed_reaches_fails_the_check() {
    check(0..20, |sim| {
        let rolls = selkie_sim::Rng::keyed(sim.seed(), &[]).below(6);
        sometimes!(rolls == 3);
    });
    let text = text_of(|| check(0..20, |_| sometimes!(1 + 1 == 3)));
    assert!(
        text.starts_with("in none of the seeds 0..20 this was true: `1 + 1 == 3` at "),
        "{text}"
    );
    let in_host = text_of(|| {
        check(0..3, |sim| {
            sim.host("host", || async { sometimes!(selkie::time::now().elapsed() > 100 * SECOND) });
            sim.run_for(SECOND);
        });
    });
    assert!(in_host.contains("elapsed() > 100 * SECOND"), "{in_host}");
}

#[test]
fn a_process_that_is_aborted_fails_the_check_with_its_seed_and_its_faults() {
    let text = text_of(|| {
        check(0..20, |sim| {
            let host = sim.host("host", futures::future::pending::<()>);
            sim.draw_faults(&Faults::new(&[host], SECOND).kinds(&[Kind::Paused]).most(8));
            if sim.seed() >= 11 && !sim.faults().is_empty() {
                eprintln!("{}", "noise ".repeat(100_000));
                std::process::abort()
            }
        })
    });
    assert!(
        text.starts_with("seed 11 fails: its process has ended by signal: 6 (SIGABRT)"),
        "{text}"
    );
    assert!(
        text.contains("\nwith 1 of its ")
            && text.contains("\nrepeat it: SELKIE_SEED=11 SELKIE_FAULTS="),
        "{text}"
    );
    assert!(text.len() < 10_000, "{} bytes", text.len());
}

#[test]
fn checks_in_a_loop_are_told_apart() {
    for is_bad in [false, true] {
        let check =
            || check(0..20, move |sim| assert!(!is_bad || sim.seed() != 13, "as it had to"));
        match is_bad {
            false => check(),
            true => assert!(text_of(check).starts_with("seed 13 fails: as it had to")),
        }
    }
}

#[test]
fn a_failure_that_needs_what_earlier_seeds_have_left_is_said_to_be_one() {
    use std::sync::atomic::{AtomicU32, Ordering};
    let text = text_of(|| {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        check(0..20, |_| assert!(RUNS.fetch_add(1, Ordering::Relaxed) < 5, "too many"));
    });
    assert!(text.contains("fails: too many\nbut not alone"), "{text}");
    assert!(text.contains("\nrepeat it: SELKIE_PROCESSES=1 SELKIE_SEEDS=0.."), "{text}");
}

#[test]
fn a_check_on_a_thread_that_is_no_test_says_so() {
    let thread = std::thread::Builder::new().name("no test".to_owned());
    let check = thread.spawn(|| text_of(|| check(0..20, |_| {}))).unwrap();
    let text = check.join().unwrap();
    assert!(text.contains("no #[test] is called \"no test\""), "{text}");
}

/// The variable that says that it is to.
const FAILS: &str = "SELKIE_TEST_FAILS";

/// Not a test: what the one below runs, in another process.
#[test]
#[ignore = "it fails, for others"]
fn fails_by_two_faults_for_others() {
    if std::env::var_os(FAILS).is_none() {
        return;
    }
    check(0..100, fails_by_two_faults);
}

/// Runs that with these variables. Returns what it has printed.
fn run_with(variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["checking::fails_by_two_faults_for_others", "--exact", "--ignored", "--nocapture"])
        .env(FAILS, "1")
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = between_runs(|| command.spawn()).unwrap().wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn the_line_that_repeats_a_failure_repeats_it_and_writes_its_steps() {
    let told = run_with(&[]);
    let line = told.lines().find_map(|line| line.strip_prefix("repeat it: ")).unwrap();
    let variables: Vec<(&str, &str)> =
        line.split(' ').filter_map(|word| word.split_once('=')).collect();
    assert_eq!(variables.len(), 2, "{line}");
    // Without that, cargo test would leave it out.
    assert!(line.ends_with(" -- --include-ignored"), "{line}");
    let file = std::env::temp_dir().join(format!("selkie-sim-trace-{}", std::process::id()));
    let trace = ("SELKIE_TRACE", file.to_str().unwrap());
    let again = run_with(&[variables[0], variables[1], trace]);
    assert!(again.contains("it had to come to this"), "{again}");
    let steps = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(steps.contains("host0      fault     is killed"), "{steps}");
    assert!(steps.contains("host1      fault     stands still"), "{steps}");
    let without_faults = run_with(&[variables[0], ("SELKIE_FAULTS", "")]);
    assert!(without_faults.contains("1 passed"), "{without_faults}");
    let other_seeds = run_with(&[("SELKIE_SEEDS", "5..5")]);
    assert!(other_seeds.contains("1 passed"), "{other_seeds}");
}
