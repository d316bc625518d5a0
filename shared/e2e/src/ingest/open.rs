//! So many requests a second, whatever becomes of them: what waits for an answer holds nothing back that is due.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::connection::Connection;
use super::requests::Requests;

/// How often it is looked what is due; what is due together goes out together.
const TICK: Duration = Duration::from_millis(1);

/// How a rate is offered.
#[derive(Clone, Copy)]
pub struct Offer {
    pub per_second: f64,
    pub time: Duration,
}

/// What became of a request.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// When its turn came; it may have waited for a connection since.
    pub due: Instant,
    pub sent: Instant,
    pub answered: Instant,
    pub status: u16,
}

/// What became of all of them.
pub struct Answers {
    /// When the first was due.
    pub begun: Instant,
    pub answers: Vec<Answer>,
    /// Were never sent: every connection waited for an answer, and as many requests for a connection.
    pub unsent: u64,
}

/// Requests whose turn has come.
struct Due {
    waiting: Mutex<VecDeque<Instant>>,
    ready: Semaphore,
}

/// Offers requests and waits for the answers of those that are sent in time. As many can wait for one as there are connections.
///
/// # Errors
/// When a connection ends.
pub async fn offer(open: Vec<Connection>, requests: &Arc<Requests>, offer: Offer) -> anyhow::Result<Answers> {
    let due = Arc::new(Due {
        waiting: Mutex::default(),
        ready: Semaphore::new(0),
    });
    let mut senders = JoinSet::new();
    let connections = open.len();
    for (number, connection) in open.into_iter().enumerate() {
        senders.spawn(send(connection, Arc::clone(requests), number, Arc::clone(&due)));
    }
    let (begun, mut offered, mut unsent) = (Instant::now(), 0, 0);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while begun.elapsed() < offer.time {
        ticks.tick().await;
        let now = Instant::now();
        let turns = whole((now - begun).as_secs_f64() * offer.per_second);
        let more = turns.saturating_sub(offered);
        offered = turns;
        let mut waiting = due.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let room = connections.saturating_sub(waiting.len()).min(more);
        waiting.extend(std::iter::repeat_n(now, room));
        unsent += (more - room) as u64;
        drop(waiting);
        due.ready.add_permits(room);
    }
    due.ready.close();
    let mut answers = Vec::new();
    while let Some(sender) = senders.join_next().await {
        answers.extend(sender??);
    }
    Ok(Answers { begun, answers, unsent })
}

fn whole(turns: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of requests, from 0 on"
    )]
    let turns = turns as usize;
    turns
}

async fn send(
    mut connection: Connection,
    requests: Arc<Requests>,
    first: usize,
    due: Arc<Due>,
) -> anyhow::Result<Vec<Answer>> {
    let mut answers = Vec::new();
    for request in requests.bytes.iter().cycle().skip(first % requests.bytes.len()) {
        let Ok(ready) = due.ready.acquire().await else { break };
        ready.forget();
        let turn = due.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(turn) = turn else { continue };
        let sent = Instant::now();
        let status = connection.ask(request).await?;
        answers.push(Answer {
            due: turn,
            sent,
            answered: Instant::now(),
            status,
        });
    }
    Ok(answers)
}
