use super::HmacSha1;
use crate::provider;

/// Authentication with one key: this crate's HMAC-SHA1, or the provider's.
pub(crate) enum Mac {
    Own(HmacSha1),
    Provided(Box<dyn provider::Mac>),
}

impl Mac {
    /// The authentication value of `data` followed by `trailer`.
    #[inline]
    pub(crate) fn tag<const T: usize>(&self, data: &[u8], trailer: &[u8; T]) -> [u8; 20] {
        match self {
            Self::Own(mac) => mac.tag(data, trailer),
            Self::Provided(mac) => mac.sign(data, trailer),
        }
    }
}

/// A message to be authenticated.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) mac: &'a Mac,
    pub(crate) data: &'a [u8],
    pub(crate) trailer: [u8; 4],
}

/// The authentication values of up to [`LANES`] messages, as many at once as there are.
pub(crate) fn tags(jobs: &[Option<Job<'_>>; LANES]) -> [[u8; 20]; LANES] {
    if let [Some(a), Some(b), Some(c), Some(d)] = *jobs {
        return together([a, b, c, d]);
    }
    let mut tags = [[0; 20]; LANES];
    for (jobs, tags) in jobs.as_chunks::<2>().0.iter().zip(tags.as_chunks_mut::<2>().0) {
        match *jobs {
            [Some(a), Some(b)] => *tags = together([a, b]),
            [Some(a), None] => tags[0] = a.mac.tag(a.data, &a.trailer),
            [None, Some(b)] => tags[1] = b.mac.tag(b.data, &b.trailer),
            [None, None] => {}
        }
    }
    tags
}

fn together<const N: usize>(jobs: [Job<'_>; N]) -> [[u8; 20]; N] {
    let mut own = jobs.iter().filter_map(|job| match job.mac {
        Mac::Own(mac) => Some(mac),
        Mac::Provided(_) => None,
    });
    let Some(first) = own.clone().next().filter(|_| own.clone().count() == N) else {
        return jobs.map(|job| job.mac.tag(job.data, &job.trailer));
    };
    let keys = core::array::from_fn(|_| own.next().unwrap_or(first));
    HmacSha1::tags(keys, jobs.map(|job| job.data), jobs.each_ref().map(|job| &job.trailer))
}

/// Messages at once: four keep the processor's SHA unit busy, and their states fit its registers.
pub(crate) const LANES: usize = 4;
