//! The cases: how many connections, how large the messages, how many of them under way.

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What the load generator asks of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Work {
    /// Connections stay, messages go round.
    Echo,
    /// A connection is made, echoes one message and is closed.
    Churn,
    /// Connections echo one message, and then stay until somebody has looked at the memory.
    Idle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    pub work: Work,
    pub connections: u32,
    pub bytes: u32,
    /// Messages of a connection that are under way at once.
    pub outstanding: u32,
}

/// Connections of the cases, the columns of the tables.
pub const CONNECTIONS: [u32; 4] = [1, 50, 200, 1000];

/// Bytes and outstanding messages of the cases: a table each.
pub const SHAPES: [(u32, u32); 4] = [(64, 1), (1024, 1), (16 * 1024, 1), (64, 16)];

/// Connections that come and go at once.
pub const CHURN: Case = Case { work: Work::Churn, connections: 50, bytes: 64, outstanding: 1 };

/// Connections that are there: enough for what a server keeps beside them not to matter.
pub const IDLE: Case = Case { work: Work::Idle, connections: 1_000, bytes: 64, outstanding: 1 };

impl Case {
    pub const fn echo(connections: u32, bytes: u32, outstanding: u32) -> Self {
        Self { work: Work::Echo, connections, bytes, outstanding }
    }

    /// All that have messages to count.
    pub fn counted() -> Vec<Self> {
        let echoes = SHAPES.iter().flat_map(|&(bytes, outstanding)| {
            CONNECTIONS.iter().map(move |&n| Self::echo(n, bytes, outstanding))
        });
        echoes.chain([CHURN]).collect()
    }

    /// `50x64` for 50 connections with 64 bytes, `50x64p16` with 16 messages under way.
    pub fn name(self) -> String {
        let Self { work, connections, bytes, outstanding } = self;
        match (work, outstanding) {
            (Work::Churn, _) => "churn".to_owned(),
            (Work::Idle, _) => "idle".to_owned(),
            (Work::Echo, 1) => format!("{connections}x{bytes}"),
            (Work::Echo, _) => format!("{connections}x{bytes}p{outstanding}"),
        }
    }

    pub fn find(name: &str) -> Result<Self> {
        let known = || Self::counted().into_iter().chain([IDLE]);
        known().find(|case| case.name() == name).with_context(|| {
            let known: Vec<_> = known().map(Self::name).collect();
            format!("{name:?} is no case; use one of {}", known.join(", "))
        })
    }

    /// How many messages, or connections, make a run of some 0.3 s with the reference.
    pub fn count(self) -> u32 {
        match self {
            Self { work: Work::Churn, .. } => 5_000,
            Self { bytes: 16_384, .. } => 20_000,
            Self { outstanding: 16, .. } => 200_000,
            Self { connections: 1, .. } => 30_000,
            _ => 50_000,
        }
    }

    /// What is counted: the unit of every figure that is "per message".
    pub fn unit(self) -> &'static str {
        match self.work {
            Work::Echo => "message",
            Work::Churn | Work::Idle => "connection",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_is_found_by_its_name() {
        for case in Case::counted().into_iter().chain([IDLE]) {
            assert_eq!(Case::find(&case.name()).expect("it has one"), case);
        }
        assert_eq!(Case::echo(50, 64, 16).name(), "50x64p16");
        let error = Case::find("2x2").expect_err("there is none").to_string();
        assert!(error.contains("1000x16384") && error.contains("churn"), "{error}");
    }
}
