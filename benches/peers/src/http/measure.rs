//! Requests per second of the server's processor time, under wrk.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{CONTENDERS, Contender};
use crate::child::Server;
use crate::harness::{Effort, Harness};
use crate::results::{Http, Part};
use crate::system::{Cores, CpuClock};

/// Connections that wrk keeps open.
const CONNECTIONS: [u32; 3] = [1, 50, 200];

pub fn measure(harness: &mut Harness) -> Result<()> {
    harness.results.http.clear();
    // It tells its version with an error.
    if let Err(reason) = Command::new("wrk").arg("--version").output() {
        let reason = anyhow::Error::new(reason).context("wrk is not installed");
        harness.skip(Part::Http, "every server", &reason);
        return Ok(());
    }
    let cores = Cores::separate().or_else(|_| Cores::shared())?;
    let (rounds, seconds) = (harness.rounds(9, 3), seconds(harness.effort));
    harness.begin(Part::Http, CONNECTIONS.len() * rounds as usize * CONTENDERS.len());
    for connections in CONNECTIONS {
        let mut figures: Vec<Http> = CONTENDERS
            .iter()
            .map(|contender| Http {
                connections,
                server: contender.name.to_owned(),
                ..Http::default()
            })
            .collect();
        for _ in 0..rounds {
            for (contender, figure) in CONTENDERS.iter().zip(&mut figures) {
                harness.step(format!("{connections} {}", contender.name));
                let (per_cpu_second, per_second) = run(contender, cores, connections, seconds)?;
                figure.per_cpu_second.push(per_cpu_second);
                figure.per_second.push(per_second);
            }
        }
        harness.results.http.append(&mut figures);
    }
    Ok(())
}

fn seconds(effort: Effort) -> u32 {
    if effort == Effort::Quick { 1 } else { 3 }
}

/// Requests per second of the server's processor time, and per second.
fn run(contender: &Contender, cores: Cores, connections: u32, seconds: u32) -> Result<(f64, f64)> {
    let server = Server::start_http(contender.name, cores.server)?;
    let url = format!("http://127.0.0.1:{}/", server.port);
    let clock = CpuClock::of(server.pid)?;
    let wrk = |seconds: u32| -> Result<Wrk> {
        let mut command = Command::new("taskset");
        command.args(["-c", &cores.load.to_string(), "wrk", "-t1"]);
        command.args([format!("-c{connections}"), format!("-d{seconds}s"), url.clone()]);
        let output = command.output().context("taskset")?;
        Wrk::parse(&String::from_utf8_lossy(&output.stdout))
    };
    wrk(1)?; // To warm up.
    let before = clock.now()?;
    let Wrk { requests, elapsed } = wrk(seconds)?;
    let cpu = clock.now()? - before;
    Ok((requests / cpu.as_secs_f64(), requests / elapsed.as_secs_f64()))
}

/// What wrk has to say.
#[derive(Debug, PartialEq)]
struct Wrk {
    requests: f64,
    elapsed: Duration,
}

impl Wrk {
    fn parse(said: &str) -> Result<Self> {
        if said.contains("Socket errors") || said.contains("Non-2xx") {
            bail!("wrk met errors: {said}");
        }
        let line = said.lines().find_map(|line| line.trim().split_once(" requests in "));
        let (requests, rest) = line.with_context(|| format!("wrk did not count: {said}"))?;
        let elapsed = rest.split_once("s,").context("no seconds")?.0;
        let elapsed = Duration::from_secs_f64(elapsed.parse().context("seconds")?);
        Ok(Self { requests: requests.parse().context("requests")?, elapsed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_seconds_are_read_from_what_wrk_says() {
        let said = "Running 2s test @ http://127.0.0.1:1/\n  1 threads and 1 connections\n\
                    \x20 60912 requests in 2.10s, 4.59MB read\nRequests/sec:  29003.62\n";
        let expected = Wrk { requests: 60912.0, elapsed: Duration::from_millis(2100) };
        assert_eq!(Wrk::parse(said).expect("it is all there"), expected);
        Wrk::parse("").expect_err("nothing is there");
        let errors = format!("{said}  Socket errors: connect 0, read 1, write 0, timeout 0\n");
        Wrk::parse(&errors).expect_err("there were errors");
    }
}
