package main

import "slices"

const (
	ports = 2 // that a processor has for vectors of 512 bits

	// window is how far ahead of its place in the program an instruction may go: far enough to fill the time in which
	// others wait for products, and not so far that values pile up for which there is no register.
	window = 64
)

// latency is after how many cycles the result of v can be used.
func (v *value) latency() int {
	switch v.operation {
	case low, high:
		return 4
	case arrange:
		return 3
	}
	return 1
}

// waits reports whether v is an instruction that waits for something: what is loaded, constant or kept is where it is
// needed.
func (v *value) waits() bool {
	return v.operation != load && v.operation != constant && v.operation != keep
}

// task is an instruction and what it waits for.
type task struct {
	item    any // *value or store
	latency int
	needs   int   // tasks that have not started
	users   []int // tasks that need this one
	height  int   // cycles from its start to the end of the program, at least
	ready   int   // the cycle from which it can start
}

// schedule returns p in the order in which a processor with two ports would start its instructions, those first on which
// most has to wait. Processors reorder too, but see a hundred waiting instructions at most, where a product alone is
// sixty that wait for each other.
func schedule(p *program) *program {
	tasks := p.tasks()
	for i := len(tasks) - 1; i >= 0; i-- { // users come later
		for _, user := range tasks[i].users {
			tasks[i].height = max(tasks[i].height, tasks[user].height)
		}
		tasks[i].height += tasks[i].latency
	}
	out := &program{limbs: p.limbs}
	written := make(map[*value]bool)
	for cycle, waiting := 0, slices.Clone(tasks); len(waiting) > 0; cycle++ {
		for range ports {
			best := -1
			for at, s := range waiting[:min(window, len(waiting))] {
				if s.needs == 0 && s.ready <= cycle && (best < 0 || s.height > waiting[best].height) {
					best = at
				}
			}
			if best < 0 {
				break
			}
			s := waiting[best]
			waiting = slices.Delete(waiting, best, best+1)
			out.write(s.item, written)
			for _, user := range s.users {
				tasks[user].needs--
				tasks[user].ready = max(tasks[user].ready, cycle+s.latency)
			}
		}
	}
	return out
}

// tasks returns the instructions of p in its order. A store waits for those that read what was in its row, too.
func (p *program) tasks() (tasks []*task) {
	place := make(map[*value]int)
	readers := make(map[int][]int) // of rows
	for _, item := range p.body {
		s := &task{item: item, latency: 1}
		var needs []int
		var sources []*value
		switch item := item.(type) {
		case checked:
			continue
		case store:
			sources, needs = []*value{item.value.source()}, readers[item.at]
		case *value:
			if !item.waits() {
				continue
			}
			place[item] = len(tasks)
			sources, s.latency = item.sources(), item.latency()
		}
		for _, source := range sources {
			if source.operation == load {
				readers[source.at] = append(readers[source.at], len(tasks))
			} else if at, ok := place[source]; ok {
				needs = append(needs, at)
			}
		}
		for _, need := range needs {
			tasks[need].users = append(tasks[need].users, len(tasks))
		}
		s.needs = len(needs)
		tasks = append(tasks, s)
	}
	return tasks
}

// write appends item to p, behind those of its arguments that do not wait.
func (p *program) write(item any, written map[*value]bool) {
	var arguments []*value
	switch item := item.(type) {
	case store:
		arguments = []*value{item.value}
	case *value:
		if written[item] || item.name != "" {
			return
		}
		written[item] = true
		arguments = item.arguments
	}
	for _, argument := range arguments {
		if !argument.waits() {
			p.write(argument, written)
		}
	}
	p.body = append(p.body, item)
}
