// Package stream carries byte streams between a client and an exit over cells that the network reorders heavily, delays
// for seconds, loses and doubles.
//
// A [Session] is what a client and one exit have together: any number of streams, a count of cells for each direction,
// and, at the exit, a stock of SURBs. It starts no goroutine and sends nothing: its owner hands it the cells that come
// ([Session.Receive]) and takes those that are to go ([Session.Next]). A [Conn] is one end of one stream, a net.Conn.
//
// # Cells
//
// Each cell has the session's id and a number of its own, that is never used again: what a lost cell carried goes in a
// new one. Clients count from 0, and exits from a number that they draw for each session. Its data are, with big-endian numbers,
//
//	flags(1) ‖ least(4) ‖ [acknowledgement] ‖ [generation(4)] ‖ [timeout(4)] ‖ frames
//
//	flags            1 acknowledgement, 2 SURBs, 4 hello, 8 close; all other bits are zero
//	least            the lowest number whose fate the sender of the cell still waits for
//	acknowledgement  largest(4) ‖ run(2) ‖ stock(2) ‖ generation(4) ‖ n(2) ‖ bits(n)
//	                 The cell largest has come, and run cells right below it. The bits tell of those below that, the highest
//	                 first, the top bit of a byte first. stock is how many SURBs of that generation the exit has; 0 from
//	                 a client.
//	generation       of the SURBs in this cell, where flag 2 is set
//	timeout          in milliseconds, how long the client expects a round trip to take at most; in a hello, which all cells
//	                 of a client are until it hears from the exit
//
//	OPEN    1 ‖ stream(4) ‖ n(1) ‖ target(n)             client: connect to the target, "host:port"
//	OPENED  2 ‖ stream(4)                                exit: it is connected
//	RESET   3 ‖ stream(4) ‖ code(1)                      the stream has ended, and all that is under way in it is void
//	DATA    4 ‖ stream(4) ‖ offset(8) ‖ n(2) ‖ bytes(n)
//	END     5 ‖ stream(4) ‖ offset(8) ‖ n(2) ‖ bytes(n)  the same, and nothing comes after these bytes
//	CREDIT  6 ‖ stream(4) ‖ offset(8)                    bytes up to that offset are taken; the first 131,072 are at once
//
// Clients number their streams from 0. Each frame may come at any time and any number of times.
//
// # Loss and pace
//
// A cell is lost when it was not acknowledged within the time that nearly all round trips take, as they were measured, and
// never because others have overtaken it. How many cells may be under way follows from the round trips: more while they
// stay short, fewer when queues make them long. The number that were lost counts only when it is large, since links lose
// packets too.
//
// # SURBs
//
// The exit needs a SURB for each cell, so SURBs are the window of the way back. The client keeps the exit's stock at three
// times what it used within the last round trips, at least 32 and at most 4,096. What the stock is, each
// acknowledgement says. When SURBs can no longer be good, as their epoch passes or the client has another gateway, the
// client sends those of a new generation, and with the first of them the exit forgets the older ones. A client that waits
// for an exit and hears nothing sends a few more from time to time, as the exit may have none left.
package stream

// Service is the name that exits offer streams under.
const Service = "tcp"
