package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrClosed is returned when a job comes after the end.
var ErrClosed = errors.New("queue is closed")

// Job is a piece of work with a name.
type Job struct {
	Name     string
	Attempts int
	Run      func(ctx context.Context) error
}

// Result tells how a job ended.
type Result struct {
	Name     string
	Err      error
	Duration time.Duration
}

// Queue runs jobs on a number of workers.
type Queue struct {
	mu      sync.Mutex
	closed  bool
	jobs    chan Job
	results chan Result
	group   sync.WaitGroup
}

// New makes a queue with the given number of workers.
func New(workers, size int) (*Queue, error) {
	if workers < 1 {
		return nil, fmt.Errorf("at least one worker is needed, not %d", workers)
	}
	queue := &Queue{
		jobs:    make(chan Job, size),
		results: make(chan Result, size),
	}
	queue.group.Add(workers)
	for i := 0; i < workers; i++ {
		go queue.work(context.Background())
	}
	return queue, nil
}

// Add puts a job into the queue.
func (q *Queue) Add(job Job) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	if job.Run == nil {
		return fmt.Errorf("job %q has nothing to run", job.Name)
	}
	q.jobs <- job
	return nil
}

// Close waits for all jobs that were added before.
func (q *Queue) Close() []Result {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.jobs)
	}
	q.mu.Unlock()
	q.group.Wait()
	close(q.results)
	var all []Result
	for result := range q.results {
		all = append(all, result)
	}
	return all
}

func (q *Queue) work(ctx context.Context) {
	defer q.group.Done()
	for job := range q.jobs {
		started := time.Now()
		err := attempt(ctx, job)
		q.results <- Result{Name: job.Name, Err: err, Duration: time.Since(started)}
	}
}

func attempt(ctx context.Context, job Job) error {
	var err error
	for try := 0; try <= job.Attempts; try++ {
		if err = job.Run(ctx); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(try) * time.Second):
		}
	}
	return fmt.Errorf("job %q failed: %w", job.Name, err)
}
