// Package vectors checks test vectors of the Sphinx packet format against packages sphinx and lioness, and makes the
// project's own.
//
// [Checker] reads the files of testvectors, of testvectors/reference, and any others of those schemas: it tells what a
// case is by its content, runs it, and reports the first thing that differs. [Own] and [WriteRandom] make vectors, each
// a function of fixed labels or of a seed.
//
// Packages sphinx and lioness do the work that is checked. What they keep to themselves, such as a hop's shared secret,
// is computed beside them from sphinx/internal, step by step as the format is written.
package vectors
