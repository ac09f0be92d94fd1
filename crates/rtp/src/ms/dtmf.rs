use std::time::Duration;

use crate::{DtmfConfig, DtmfPayload, TelephoneEvent};

/// How digits are sent to a Lync side (\[MS-DTMF\] 3.1, \[MS-RTPDT\] 3.1): a clock of 8000 Hz beside
/// any codec, three packets at the start and three at the end of an event, no duration of zero and
/// none that the field cannot hold. `duration` is brought within that.
///
/// ```
/// use linkspan_rtp::{DtmfConfig, ms};
/// use std::time::Duration;
/// let config = ms::dtmf_config(Duration::from_millis(160));
/// assert_eq!((config.clock_hz, config.start_packets, config.end_packets), (8000, 3, 3));
/// assert_eq!(ms::dtmf_config(Duration::from_secs(60)).duration, ms::LONGEST_DTMF);
/// ```
#[must_use]
pub fn dtmf_config(duration: Duration) -> DtmfConfig {
    let config = DtmfConfig::default();
    DtmfConfig {
        clock_hz: 8000,
        start_packets: 3,
        end_packets: 3,
        duration: duration.clamp(config.interval, LONGEST_DTMF),
        ..config
    }
}

/// Whether a Lync side may have sent this: one of the events 0 to 16, which is all that is
/// negotiated (`a=fmtp:101 0-16`), and for some time.
///
/// ```
/// use linkspan_rtp::{DtmfPayload, ms};
/// assert!(ms::is_dtmf(&DtmfPayload::parse(&[16, 0x0a, 0, 160])?));
/// assert!(!ms::is_dtmf(&DtmfPayload::parse(&[16, 0x0a, 0, 0])?));
/// assert!(!ms::is_dtmf(&DtmfPayload::parse(&[17, 0x0a, 0, 160])?));
/// # Ok::<(), linkspan_rtp::ParseError>(())
/// ```
#[must_use]
pub fn is_dtmf(payload: &DtmfPayload) -> bool {
    payload.event.0 <= TelephoneEvent::FLASH.0 && payload.duration != 0
}

/// The longest event: 65,535 units of 8000 Hz, in whole packets of 20 ms.
pub const LONGEST_DTMF: Duration = Duration::from_millis(8180);
