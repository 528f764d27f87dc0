#pragma once
#include <boost/asio/any_io_executor.hpp>

struct redisAsyncContext;

namespace pgsteer::cache {

/// Lets hiredis' asynchronous context run on an Asio loop. Call once, right after redisAsyncConnect and before a connect
/// callback is set. hiredis keeps owning the descriptor and frees what is attached here when it frees the context.
void attach(redisAsyncContext* context, const boost::asio::any_io_executor& executor);

}  // namespace pgsteer::cache
