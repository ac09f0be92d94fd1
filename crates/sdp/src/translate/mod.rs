//! Translation of descriptions between a Lync side and a standards side.
