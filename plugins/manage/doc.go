// Package manage is the HTTP interface by which a broker is administered: what there is in each virtual host, and what can be
// done about it.
//
//	GET    /vhosts                              the virtual hosts, and what they count
//	GET    /vhosts/<vhost>/queues               the queues of one
//	POST   /vhosts/<vhost>/queues/<name>/purge  drop everything that waits in a queue
//	DELETE /vhosts/<vhost>/queues/<name>        delete a queue that nobody consumes
//	GET    /vhosts/<vhost>/sessions             the clients that are connected
//	DELETE /vhosts/<vhost>/sessions/<client>    end the connection of a client
//
// Names are percent-encoded: the default virtual host is %2F, the queue jobs/eu is jobs%2Feu. Answers are JSON; a browser that
// asks for the lists gets tables.
//
// Credentials are those of clients, in Authorization or a cookie; [Gate] finds out who asks. Everything needs the operation
// manage: on vhost/<name>, queue/<name>, client/<id>, or broker/<what> for other routes of the admin server. Whatever somebody
// may not manage is left out of lists, and is not found by name. Who is of a virtual host sees nothing of others.
//
// It serves no clients, and knows no configuration.
package manage
