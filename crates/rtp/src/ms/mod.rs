//! The Microsoft room: what Lync and Skype for Business add to RTP and RTCP (\[MS-RTP\]).

