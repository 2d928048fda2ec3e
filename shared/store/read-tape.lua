-- Reads on in the tape of a stream, and says that somebody does.
-- KEYS[1] tape   KEYS[2] readers
-- ARGV[1] first piece to read   ARGV[2] last piece to read   ARGV[3] how long the reader counts as there, in ms
-- returns the pieces
redis.call('SET', KEYS[2], '1', 'PX', ARGV[3])
return redis.call('LRANGE', KEYS[1], ARGV[1], ARGV[2])
