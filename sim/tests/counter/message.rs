//! What nodes say to each other: a line of text in a datagram.

use std::fmt;
use std::str::FromStr;

/// An increment that a client has asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub term: u64,
    pub client: u64,
    /// Of the client's increments, which one: it may ask twice for one.
    pub number: u64,
    pub amount: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub term: u64,
    pub from: usize,
    pub body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    AsksForVote { last_index: u64, last_term: u64 },
    Votes(bool),
    Appends { before: u64, before_term: u64, committed: u64, entries: Vec<Entry> },
    Appended { up_to: Option<u64> },
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { term, from, body } = self;
        write!(f, "{term} {from} ")?;
        match body {
            Body::AsksForVote { last_index, last_term } => {
                write!(f, "ask {last_index} {last_term}")
            }
            Body::Votes(granted) => write!(f, "vote {}", u8::from(*granted)),
            Body::Appends { before, before_term, committed, entries } => {
                write!(f, "append {before} {before_term} {committed}")?;
                entries.iter().try_for_each(|entry| {
                    let Entry { term, client, number, amount } = entry;
                    write!(f, " {term} {client} {number} {amount}")
                })
            }
            Body::Appended { up_to } => match up_to {
                Some(index) => write!(f, "appended {index}"),
                None => write!(f, "lacks"),
            },
        }
    }
}

impl FromStr for Message {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut words = text.split(' ');
        let (term, from) = (number(words.next())?, number(words.next())? as usize);
        let kind = words.next().ok_or(())?;
        let numbers: Vec<u64> = words.map(|word| number(Some(word))).collect::<Result<_, _>>()?;
        let body = match (kind, &numbers[..]) {
            ("ask", [last_index, last_term]) => {
                Body::AsksForVote { last_index: *last_index, last_term: *last_term }
            }
            ("vote", [granted]) => Body::Votes(*granted == 1),
            ("append", [before, before_term, committed, entries @ ..]) => {
                let entries = entries.chunks_exact(4).map(|entry| Entry {
                    term: entry[0],
                    client: entry[1],
                    number: entry[2],
                    amount: entry[3],
                });
                let entries = entries.collect();
                let (before, before_term, committed) = (*before, *before_term, *committed);
                Body::Appends { before, before_term, committed, entries }
            }
            ("appended", [index]) => Body::Appended { up_to: Some(*index) },
            ("lacks", []) => Body::Appended { up_to: None },
            _ => return Err(()),
        };
        Ok(Self { term, from, body })
    }
}

fn number(word: Option<&str>) -> Result<u64, ()> {
    word.ok_or(())?.parse().map_err(drop)
}

#[test]
fn what_is_said_is_understood() {
    let entry = |number| Entry { term: 1, client: 2, number, amount: 4 };
    let bodies = [
        Body::AsksForVote { last_index: 1, last_term: 2 },
        Body::Votes(true),
        Body::Appends {
            before: 1,
            before_term: 2,
            committed: 3,
            entries: vec![entry(5), entry(6)],
        },
        Body::Appended { up_to: Some(7) },
        Body::Appended { up_to: None },
    ];
    for body in bodies {
        let message = Message { term: 9, from: 2, body };
        assert_eq!(message.to_string().parse(), Ok(message));
    }
    assert_eq!("1 2 nonsense".parse::<Message>(), Err(()));
}
