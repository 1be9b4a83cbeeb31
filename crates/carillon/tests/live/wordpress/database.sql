create database if not exists wordpress character set utf8mb4;
create user if not exists wordpress@localhost identified by 'wordpress';
grant all on wordpress.* to wordpress@localhost;
