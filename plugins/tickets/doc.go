// Package tickets lets the operator's own web application log its users in to the broker.
//
//	browser ── session ──▶ application ── POST /tickets, with the key ──▶ admin server ── a ticket
//	browser ◀── ticket ──────┘
//	browser ── ws://broker/?ticket=… ──▶ Authenticator: once, and soon
//
// A ticket is good for one login within its time to live, and stands for a user, groups and claims that the application
// has named. So no password and no long-lived token is ever in a page, and nothing of worth is in a log of URLs. Clients that
// have no URL give it as password or token, behind "ticket.".
//
// Tickets live in memory: those of one broker are not known to another, and end with the process.
package tickets
