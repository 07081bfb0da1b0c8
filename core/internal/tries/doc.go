// Package tries makes guessing passwords slow, without locking anybody out.
//
//	Wait ──▶ the credentials are looked at ──▶ Failed or Passed
//
// Failures are counted for the address they come from and for the user who was named. After some that are free, each makes
// the next one wait twice as long as the one before:
//
//   - A try from an address that has to wait is held if that is short, else it is turned away at once, before anything is
//     worked out.
//   - A try for a user who is being guessed at from elsewhere is held for a short time, and then looked at: whoever knows the
//     password gets in, from any address.
//   - Who has got in from an address before, as this user, waits for nobody's failures but his own.
//
// Failures are forgotten after a while without new ones. All tables are bounded; when one is full, the oldest of some go.
package tries
