//! What a node knows, and what it does with a message: Raft, as small as it can be. Makes no I/O and
//! reads no clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::message::{Body, Entry, Message};

/// What a node keeps when it is killed.
#[derive(Clone, Default)]
pub struct Disk(Arc<Mutex<Stable>>);

#[derive(Clone, Debug, Default)]
pub struct Stable {
    pub term: u64,
    pub voted_for: Option<usize>,
    pub log: Vec<Entry>,
    /// How often the node was started.
    pub starts: u64,
}

impl Disk {
    fn read(&self) -> Stable {
        self.0.lock().unwrap().clone()
    }

    /// Counts a start of the node.
    pub fn starts(&self) -> u64 {
        let mut stable = self.0.lock().unwrap();
        stable.starts += 1;
        stable.starts
    }

    fn write(&self, stable: &Stable) {
        self.0.lock().unwrap().clone_from(stable);
    }
}

/// What must never be otherwise, whatever goes wrong; told by the nodes.
#[derive(Clone, Default)]
pub struct Witness(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    leaders: BTreeMap<u64, usize>,
    committed: Vec<Entry>,
}

impl Witness {
    fn leads(&self, term: u64, node: usize) {
        let leader = *self.0.lock().unwrap().leaders.entry(term).or_insert(node);
        assert_eq!(leader, node, "term {term} has two leaders");
    }

    fn commits(&self, index: usize, entry: &Entry) {
        let committed = &mut self.0.lock().unwrap().committed;
        match committed.get(index) {
            Some(other) => assert_eq!(other, entry, "two nodes commit other entries at {index}"),
            None => committed.push(entry.clone()),
        }
    }

    /// How many leaders there were.
    pub fn terms(&self) -> usize {
        self.0.lock().unwrap().leaders.len()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Follower,
    Candidate,
    Leader,
}

/// What is wrong with it, on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bug {
    #[default]
    None,
    /// When it starts again, it does not know whom it has voted for.
    ForgetsItsVote,
}

pub struct Node {
    pub id: usize,
    nodes: usize,
    disk: Disk,
    witness: Witness,
    stable: Stable,
    pub role: Role,
    pub leader: Option<usize>,
    votes: Vec<usize>,
    /// Entries that a majority has.
    committed: u64,
    /// Of each node, what it is known to have, and what it is sent next.
    has: Vec<u64>,
    next: Vec<u64>,
    total: u64,
    /// By client: the last increment that was counted, and the total then.
    counted: BTreeMap<u64, (u64, u64)>,
}

/// Whose increments count nothing.
const NOBODY: u64 = u64::MAX;

/// What is to be sent, and to whom.
pub type Out = Vec<(usize, Message)>;

impl Node {
    pub fn start(id: usize, nodes: usize, disk: Disk, witness: Witness, bug: Bug) -> Self {
        let mut stable = disk.read();
        if bug == Bug::ForgetsItsVote {
            stable.voted_for = None;
        }
        Self {
            id,
            nodes,
            disk,
            witness,
            stable,
            role: Role::Follower,
            leader: None,
            votes: vec![],
            committed: 0,
            has: vec![0; nodes],
            next: vec![1; nodes],
            total: 0,
            counted: BTreeMap::new(),
        }
    }

    /// The total after this increment, if it is counted.
    pub fn counted(&self, client: u64, number: u64) -> Option<u64> {
        let (last, total) = *self.counted.get(&client)?;
        (last >= number).then_some(total)
    }

    /// A client asks a leader for an increment.
    pub fn add(&mut self, client: u64, number: u64, amount: u64) -> Out {
        let is_there = |entry: &Entry| entry.client == client && entry.number == number;
        if !self.stable.log.iter().any(is_there) {
            self.stable.log.push(Entry { term: self.stable.term, client, number, amount });
            self.keep();
        }
        self.append_to_all()
    }

    /// Nobody has led for a while.
    pub fn time_is_over(&mut self) -> Out {
        self.stable.term += 1;
        self.stable.voted_for = Some(self.id);
        self.keep();
        self.role = Role::Candidate;
        self.leader = None;
        self.votes = vec![self.id];
        let (last_index, last_term) = self.last();
        self.to_all(|_| Body::AsksForVote { last_index, last_term })
    }

    /// A leader shows that it is there.
    pub fn append_to_all(&mut self) -> Out {
        self.has[self.id] = self.last().0;
        self.to_all(|to| {
            let before = self.next[to] - 1;
            // A datagram's worth.
            let entries = self.stable.log.iter().skip(before as usize).take(20).cloned().collect();
            let before_term = self.term_at(before);
            Body::Appends { before, before_term, committed: self.committed, entries }
        })
    }

    pub fn receive(&mut self, message: Message) -> Out {
        let Message { term, from, body } = message;
        if term > self.stable.term {
            self.stable.term = term;
            self.stable.voted_for = None;
            self.keep();
            self.role = Role::Follower;
            self.leader = None;
        }
        let is_current = term == self.stable.term;
        let answer = match body {
            Body::AsksForVote { last_index, last_term } => {
                let is_free = self.stable.voted_for.is_none_or(|node| node == from);
                let (own_index, own_term) = self.last();
                let is_as_new = (last_term, last_index) >= (own_term, own_index);
                let grants = is_current && is_free && is_as_new;
                if grants {
                    self.stable.voted_for = Some(from);
                    self.keep();
                }
                Body::Votes(grants)
            }
            Body::Votes(granted) => return self.voted(from, is_current && granted),
            Body::Appends { before, before_term, committed, entries } => {
                let up_to = is_current
                    .then(|| self.append(from, before, before_term, committed, entries))
                    .flatten();
                Body::Appended { up_to }
            }
            Body::Appended { up_to } => return self.appended(from, is_current, up_to),
        };
        vec![(from, self.say(answer))]
    }

    fn voted(&mut self, from: usize, granted: bool) -> Out {
        if self.role != Role::Candidate || !granted {
            return vec![];
        }
        if !self.votes.contains(&from) {
            self.votes.push(from);
        }
        if self.votes.len() * 2 <= self.nodes {
            return vec![];
        }
        self.witness.leads(self.stable.term, self.id);
        self.role = Role::Leader;
        self.leader = Some(self.id);
        self.next = vec![self.last().0 + 1; self.nodes];
        self.has = vec![0; self.nodes];
        // Without an entry of its own term, a leader never commits those that it has found.
        let (client, number) = (NOBODY, self.stable.term);
        self.stable.log.push(Entry { term: self.stable.term, client, number, amount: 0 });
        self.keep();
        self.append_to_all()
    }

    /// Returns up to where the log is the leader's.
    fn append(
        &mut self,
        from: usize,
        before: u64,
        before_term: u64,
        committed: u64,
        entries: Vec<Entry>,
    ) -> Option<u64> {
        self.role = Role::Follower;
        self.leader = Some(from);
        if before > self.last().0 || self.term_at(before) != before_term {
            return None;
        }
        let mut index = before as usize;
        for entry in entries {
            if self.stable.log.get(index).is_none_or(|own| own.term != entry.term) {
                self.stable.log.truncate(index);
                self.stable.log.push(entry);
            }
            index += 1;
        }
        self.keep();
        self.commit(committed.min(index as u64));
        Some(index as u64)
    }

    fn appended(&mut self, from: usize, is_current: bool, up_to: Option<u64>) -> Out {
        if self.role != Role::Leader || !is_current {
            return vec![];
        }
        match up_to {
            Some(index) => {
                self.has[from] = self.has[from].max(index);
                self.next[from] = self.has[from] + 1;
            }
            None => self.next[from] = (self.next[from] - 1).max(1),
        }
        let mut has = self.has.clone();
        has.sort_unstable();
        let by_most = has[(self.nodes - 1) / 2];
        // Entries of former terms are committed with one of this term only.
        if self.term_at(by_most) == self.stable.term {
            self.commit(by_most);
        }
        vec![]
    }

    fn commit(&mut self, up_to: u64) {
        while self.committed < up_to {
            let index = self.committed as usize;
            let entry = self.stable.log[index].clone();
            self.witness.commits(index, &entry);
            self.committed += 1;
            let is_new = self.counted.get(&entry.client).is_none_or(|last| last.0 < entry.number);
            if is_new {
                self.total += entry.amount;
                self.counted.insert(entry.client, (entry.number, self.total));
            }
        }
    }

    fn last(&self) -> (u64, u64) {
        (self.stable.log.len() as u64, self.stable.log.last().map_or(0, |entry| entry.term))
    }

    fn term_at(&self, index: u64) -> u64 {
        let place = (index as usize).checked_sub(1);
        place.and_then(|place| self.stable.log.get(place)).map_or(0, |entry| entry.term)
    }

    fn keep(&self) {
        self.disk.write(&self.stable);
    }

    fn say(&self, body: Body) -> Message {
        Message { term: self.stable.term, from: self.id, body }
    }

    fn to_all(&self, body: impl Fn(usize) -> Body) -> Out {
        let others = (0..self.nodes).filter(|node| *node != self.id);
        others.map(|node| (node, self.say(body(node)))).collect()
    }
}
