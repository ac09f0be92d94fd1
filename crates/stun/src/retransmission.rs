use crate::Transport;
use std::time::{Duration, Instant};

/// Timing of a request (RFC 8489 §6.2.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RetransmissionConfig {
    /// First waiting time, doubled after each transmission. Default 500 ms.
    pub rto: Duration,
    /// `Rc`: number of transmissions. Default 7.
    pub rc: u32,
    /// `Rm`: the last transmission waits this many times the first waiting time. Default 16.
    pub rm: u32,
    /// No waiting time but the last is longer. Default none, as in the RFC.
    pub rto_max: Duration,
    /// `Ti`: waiting time of the only transmission over TCP (RFC 8489 §6.2.2). Default 39.5 s.
    pub ti: Duration,
}

impl Default for RetransmissionConfig {
    fn default() -> Self {
        Self {
            rto: Duration::from_millis(500),
            rc: 7,
            rm: 16,
            rto_max: Duration::MAX,
            ti: Duration::from_millis(39_500),
        }
    }
}

/// When to send a request again, and when to give up.
///
/// ```
/// use linkspan_stun::{Due, Retransmission, RetransmissionConfig, Transport};
/// use std::time::Instant;
///
/// let start = Instant::now();
/// let mut request = Retransmission::new(RetransmissionConfig::default(), Transport::Udp, start);
/// let mut sent = 1;
/// while request.handle_timeout(request.deadline()) == Due::Transmit {
///     sent += 1;
/// }
/// assert_eq!((sent, request.deadline() - start), (7, std::time::Duration::from_millis(39_500)));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retransmission {
    rto: Duration,
    rto_max: Duration,
    wait: Duration,
    left: u32,
    rm: u32,
    deadline: Instant,
}

impl Retransmission {
    /// A request whose first transmission is made now.
    #[must_use]
    pub fn new(config: RetransmissionConfig, transport: Transport, now: Instant) -> Self {
        let (left, wait) = match transport {
            Transport::Udp if config.rc > 1 => (config.rc - 1, config.rto),
            Transport::Udp => (0, config.rto.saturating_mul(config.rm)),
            Transport::Tcp => (0, config.ti),
        };
        let RetransmissionConfig { rto, rto_max, rm, .. } = config;
        Self { rto, rto_max, wait, left, rm, deadline: after(now, wait) }
    }

    /// When the next thing happens.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Sends nothing more, but still waits as long as it would have (RFC 8445 §7.3.1.4).
    pub fn cancel(&mut self) {
        while self.left > 0 {
            self.advance();
        }
    }

    /// What is due now.
    pub fn handle_timeout(&mut self, now: Instant) -> Due {
        if now < self.deadline {
            Due::Nothing
        } else if self.left == 0 {
            Due::GiveUp
        } else {
            // Late calls send once, not as often as was missed.
            self.advance();
            self.deadline = self.deadline.max(after(now, self.wait.min(self.rto)));
            Due::Transmit
        }
    }

    fn advance(&mut self) {
        self.left -= 1;
        self.wait = if self.left == 0 {
            // RFC 8489 §6.2.1: Rm * RTO after the last request.
            self.rto.saturating_mul(self.rm)
        } else {
            self.wait.saturating_mul(2).min(self.rto_max)
        };
        self.deadline = after(self.deadline, self.wait);
    }
}

/// `now + wait`, or a far time where that cannot be told.
fn after(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait).unwrap_or_else(|| now + Duration::from_secs(86_400))
}

/// What a [`Retransmission`] wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Due {
    /// Time has not come.
    Nothing,
    /// The same octets are to be sent again.
    Transmit,
    /// No answer came.
    GiveUp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_times_of_the_rfc() {
        let start = Instant::now();
        let mut request =
            Retransmission::new(RetransmissionConfig::default(), Transport::Udp, start);
        let mut times = Vec::new();
        loop {
            let at = request.deadline();
            assert_eq!(request.handle_timeout(at - Duration::from_millis(1)), Due::Nothing);
            times.push((at - start).as_millis());
            if request.handle_timeout(at) == Due::GiveUp {
                break;
            }
        }
        // RFC 8489 §6.2.1: 0, 500, 1500, 3500, 7500, 15500 and 31500 ms, failed at 39500 ms.
        assert_eq!(times, [500, 1500, 3500, 7500, 15_500, 31_500, 39_500]);
    }

    #[test]
    fn sends_once_when_called_late() {
        let start = Instant::now();
        let mut request =
            Retransmission::new(RetransmissionConfig::default(), Transport::Udp, start);
        let late = start + Duration::from_secs(10);
        assert_eq!(request.handle_timeout(late), Due::Transmit);
        assert_eq!(request.handle_timeout(late), Due::Nothing);
    }

    #[test]
    fn tcp_sends_once_and_cancelled_sends_nothing() {
        let start = Instant::now();
        let config = RetransmissionConfig::default();
        let mut request = Retransmission::new(config, Transport::Tcp, start);
        assert_eq!(request.handle_timeout(start + config.ti), Due::GiveUp);
        let mut request = Retransmission::new(config, Transport::Udp, start);
        request.cancel();
        assert_eq!(request.deadline() - start, config.ti);
        assert_eq!(request.handle_timeout(request.deadline()), Due::GiveUp);
    }
}
